// SPDX-License-Identifier: Apache-2.0

// Package spdx writes and checks what something that is released consists of, as an SPDX 2.3 document in JSON.
package spdx

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"
)

const (
	version      = "SPDX-2.3"
	dataLicense  = "CC0-1.0" // of the document, as SPDX demands
	home         = "https://github.com/glusterfs-csi/glusterfs-csi"
	documentID   = "SPDXRef-DOCUMENT"
	nobodySays   = "NOASSERTION"
	whole        = "SPDXRef-whole"
	purlCategory = "PACKAGE-MANAGER"
)

// Document is an SPDX document about one thing, the whole, and the packages it contains.
type Document struct {
	Version       string         `json:"spdxVersion"`
	DataLicense   string         `json:"dataLicense"`
	ID            string         `json:"SPDXID"`
	Name          string         `json:"name"`
	Namespace     string         `json:"documentNamespace"`
	Creation      creation       `json:"creationInfo"`
	Packages      []Package      `json:"packages"`
	Relationships []relationship `json:"relationships"`
}

type creation struct {
	Created  string   `json:"created"`
	Creators []string `json:"creators"`
}

// Package is one package. What of it is there, and under which licence, is not said here.
type Package struct {
	ID               string      `json:"SPDXID"`
	Name             string      `json:"name"`
	Version          string      `json:"versionInfo"`
	Supplier         string      `json:"supplier,omitempty"`
	Download         string      `json:"downloadLocation"`
	FilesAnalyzed    bool        `json:"filesAnalyzed"`
	LicenseConcluded string      `json:"licenseConcluded"`
	LicenseDeclared  string      `json:"licenseDeclared"`
	Copyright        string      `json:"copyrightText"`
	Comment          string      `json:"comment,omitempty"`
	Purpose          string      `json:"primaryPackagePurpose,omitempty"`
	References       []reference `json:"externalRefs,omitempty"`
}

type reference struct {
	Category string `json:"referenceCategory"`
	Type     string `json:"referenceType"`
	Locator  string `json:"referenceLocator"`
}

type relationship struct {
	Element string `json:"spdxElementId"`
	Type    string `json:"relationshipType"`
	Related string `json:"relatedSpdxElement"`
}

// New begins the document of what is called name. Purpose is SPDX's word for what that is, as CONTAINER. The time is the
// source's and not the clock's, so that the same source gives the same bytes.
func New(name, of, purpose string, created time.Time) *Document {
	d := &Document{
		Version: version, DataLicense: dataLicense, ID: documentID, Name: name + "-" + of,
		Creation: creation{created.UTC().Format(time.RFC3339), []string{"Organization: glusterfs-csi", "Tool: glusterfs-csi-hack-spdx"}},
	}
	d.Packages = []Package{{
		ID: whole, Name: name, Version: of, Download: home, LicenseConcluded: nobodySays, LicenseDeclared: nobodySays, Copyright: nobodySays, Purpose: purpose,
	}}
	d.Relationships = []relationship{{documentID, "DESCRIBES", whole}}
	return d
}

// AddDebian adds a Debian package, and says by its comment which source it was made from.
func (d *Document) AddDebian(name, version, architecture, source string) {
	query := url.Values{"arch": {architecture}, "distro": {"debian-12"}}
	d.add(Package{
		Name: name, Version: version, Supplier: "Organization: Debian", LicenseDeclared: nobodySays, Comment: "source package: " + source,
		References: purl("pkg:deb/debian/" + url.PathEscape(name) + "@" + url.PathEscape(version) + "?" + query.Encode()),
	})
}

// AddGo adds the program itself and each Go module that is linked into it, as the program says.
func (d *Document) AddGo(program, of string) error {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return fmt.Errorf("read which modules are in the program: %w", err)
	}
	d.addModule(info.Main.Path, of, "Apache-2.0")
	d.addModule("stdlib", strings.TrimPrefix(info.GoVersion, "go"), "BSD-3-Clause")
	for _, module := range info.Deps {
		d.addModule(module.Path, module.Version, nobodySays)
	}
	return nil
}

func (d *Document) addModule(path, version, license string) {
	d.add(Package{Name: path, Version: version, LicenseDeclared: license, References: purl("pkg:golang/" + path + "@" + url.PathEscape(version))})
}

func purl(locator string) []reference { return []reference{{purlCategory, "purl", locator}} }

// notInID is what an SPDX identifier may not have.
var notInID = regexp.MustCompile(`[^A-Za-z0-9.-]+`)

func (d *Document) add(p Package) {
	p.ID = fmt.Sprintf("SPDXRef-%d-%s", len(d.Packages), notInID.ReplaceAllString(p.Name, "-"))
	p.Download, p.LicenseConcluded, p.Copyright = nobodySays, nobodySays, nobodySays
	d.Packages = append(d.Packages, p)
	d.Relationships = append(d.Relationships, relationship{whole, "CONTAINS", p.ID})
}

// Encode returns the document. Its namespace is of its content, and so unique as SPDX demands.
func (d *Document) Encode() ([]byte, error) {
	d.Namespace = ""
	content, err := json.Marshal(d)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(content)
	d.Namespace = home + "/spdx/" + d.Name + "/" + hex.EncodeToString(sum[:])
	text, err := json.MarshalIndent(d, "", " ")
	return append(text, '\n'), err
}
