// SPDX-License-Identifier: Apache-2.0

package health

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"
)

// By which address this node is refused takes the brick's name to be looked up.
func TestAResolverThatDoesNotAnswerDoesNotHoldUpWhatIsSaid(t *testing.T) {
	resolver := net.DefaultResolver
	t.Cleanup(func() { net.DefaultResolver = resolver })
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	v := replicas()
	v.disconnect(0, 1, 2, 3)
	v.Reading.Sets[0].Up, v.Reading.Sets[1].Up = false, false
	v.refusals = map[string]string{"c0": "not allowed", "c1": "not allowed", "c2": "not allowed", "c3": "not allowed"}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	began := time.Now()
	v.refused = v.refusalCure(ctx)
	var r findings
	v.diagnose(&r)
	if took := time.Since(began); took > time.Second {
		t.Errorf("it took %v", took)
	}
	if said := r.report(gv0); len(said.Reasons) != 1 || !strings.Contains(said.Reasons[0].Message, "its bricks refuse this node: not allowed") {
		t.Errorf("it is said %+v", said)
	}
}
