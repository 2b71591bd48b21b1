// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/migrate"
)

// Preview says what Apply would do now, and changes nothing. Its error is Apply's where that would not begin, or would
// leave something of before.
func (a *Applier) Preview(ctx context.Context, plan *migrate.Plan) ([]string, error) {
	had, err := a.records(ctx)
	if err != nil {
		return nil, err
	}
	if err := noRollback(had); err != nil {
		return nil, err
	}
	var lines []string
	if _, text, err := a.clusters(ctx); err != nil {
		return nil, err
	} else if len(plan.ClustersFile.Clusters) > 0 && !hasAll(text, plan.ClustersFile.Clusters) {
		lines = append(lines, fmt.Sprintf("would write the clusters file in ConfigMap %s/%s: %s", a.Namespace, migrate.ClustersConfigMap, namesOf(plan.ClustersFile.Clusters)))
	}
	for _, r := range had {
		if r.state != done && r.kind != ofClusters {
			lines = append(lines, fmt.Sprintf("would go on with %s %s (%s)", r.kind, r.of, r.state))
		}
	}
	var left error
	for _, r := range toRecord(plan) {
		name := recordName(r.kind, r.of)
		if i := slices.IndexFunc(had, func(h *record) bool { return h.name == name && h.state == done }); i >= 0 {
			left = errors.Join(left, a.stays(ctx, had[i]))
			continue
		}
		if r.kind == ofInline {
			lines = append(lines, fmt.Sprintf("would make PersistentVolume %s and its claim", r.of))
		} else {
			lines = append(lines, fmt.Sprintf("would replace PersistentVolume %s, with its record in ConfigMap %s/%s", r.of, a.Namespace, name))
		}
	}
	using, err := a.using(ctx, append(claimsOf(plan), unfinished(had)...))
	if err == nil && len(using) > 0 {
		err = inUse(using)
	}
	return lines, errors.Join(left, err)
}

// PreviewRollback says what Rollback would do now, and changes nothing.
func (a *Applier) PreviewRollback(ctx context.Context) ([]string, error) {
	had, err := a.records(ctx)
	if err != nil {
		return nil, err
	}
	var lines []string
	var wanted []claim
	for i := len(had) - 1; i >= 0; i-- {
		r := had[i]
		switch r.kind {
		case ofVolume:
			lines = append(lines, "would restore PersistentVolume "+r.of)
			wanted = append(wanted, claimOf(r)...)
		case ofInline:
			lines = append(lines, "would remove PersistentVolume "+r.of+" and its claim")
		case ofClusters:
			lines = append(lines, fmt.Sprintf("would restore the clusters file in ConfigMap %s/%s", a.Namespace, r.of))
		}
	}
	using, err := a.using(ctx, wanted)
	if err == nil && len(using) > 0 {
		err = inUse(using)
	}
	return lines, err
}
