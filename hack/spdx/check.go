// SPDX-License-Identifier: Apache-2.0

package spdx

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// identifier is SPDX 2.3's, 7.2.
var identifier = regexp.MustCompile(`^SPDXRef-[A-Za-z0-9.-]+$`)

// Decode reads a document and fails on whatever SPDX 2.3 does not allow of what this package writes.
func Decode(text []byte) (*Document, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	d := &Document{}
	if err := decoder.Decode(d); err != nil {
		return nil, err
	}
	errs := []error{d.checkHead()}
	known := map[string]bool{documentID: true}
	for _, p := range d.Packages {
		errs = append(errs, p.check(known))
		known[p.ID] = true
	}
	described := false
	for _, r := range d.Relationships {
		described = described || r.Element == documentID && r.Type == "DESCRIBES"
		if !known[r.Element] || !known[r.Related] {
			errs = append(errs, fmt.Errorf("relationship %v is of something that is not there", r))
		}
	}
	if !described {
		errs = append(errs, errors.New("the document describes nothing"))
	}
	return d, errors.Join(errs...)
}

func (d *Document) checkHead() error {
	var errs []error
	for field, wrong := range map[string]bool{
		"spdxVersion": d.Version != version, "dataLicense": d.DataLicense != dataLicense, "SPDXID": d.ID != documentID, "name": d.Name == "",
		"documentNamespace": !strings.HasPrefix(d.Namespace, "https://") || strings.Contains(d.Namespace, "#"),
		"creators":          len(d.Creation.Creators) == 0,
	} {
		if wrong {
			errs = append(errs, fmt.Errorf("the document's %s is missing or wrong", field))
		}
	}
	if created, err := time.Parse(time.RFC3339, d.Creation.Created); err != nil || created.Location() != time.UTC {
		errs = append(errs, fmt.Errorf("created %q is no time in UTC", d.Creation.Created))
	}
	return errors.Join(errs...)
}

func (p Package) check(known map[string]bool) error {
	var errs []error
	for field, wrong := range map[string]bool{
		"SPDXID": !identifier.MatchString(p.ID) || known[p.ID], "name": p.Name == "", "versionInfo": p.Version == "", "downloadLocation": p.Download == "",
		"licences": p.LicenseConcluded == "" || p.LicenseDeclared == "" || p.Copyright == "",
	} {
		if wrong {
			errs = append(errs, fmt.Errorf("package %q: %s is missing or wrong", p.Name, field))
		}
	}
	for _, r := range p.References {
		if r.Category != purlCategory || r.Type != "purl" || !strings.HasPrefix(r.Locator, "pkg:") || !strings.Contains(r.Locator, "@") {
			errs = append(errs, fmt.Errorf("package %q: reference %v is no purl", p.Name, r))
		}
	}
	return errors.Join(errs...)
}

// Find is the package of this name, or nil.
func (d *Document) Find(name string) *Package {
	for i := range d.Packages {
		if d.Packages[i].Name == name {
			return &d.Packages[i]
		}
	}
	return nil
}
