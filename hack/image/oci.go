// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// The media type and the annotations of the OCI image specification 1.0, and containerd's for the name of an image.
const (
	indexType     = "application/vnd.oci.image.index.v1+json"
	refName       = "org.opencontainers.image.ref.name"
	containerName = "io.containerd.image.name"
)

type index struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType,omitempty"`
	Manifests     []descriptor `json:"manifests"`
}

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int64             `json:"size"`
	Platform    *platform         `json:"platform,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

type platform struct {
	Architecture string `json:"architecture"`
	OS           string `json:"os"`
	Variant      string `json:"variant,omitempty"`
}

// writeIndex writes what was built, of all architectures, as one OCI image layout with an index, in a tar file. Of the same
// images it has the same bytes.
func (s *store) writeIndex(ctx context.Context, name string, created time.Time, file string) error {
	layout := filepath.Join(s.dir, "layout")
	for _, architecture := range architectures {
		if _, err := s.buildah(ctx, "push", "--quiet", "--format", "oci", tag(architecture), "oci:"+layout+":"+architecture); err != nil {
			return err
		}
	}
	whole, err := joined(layout)
	if err != nil {
		return err
	}
	_, version, _ := strings.Cut(name[strings.LastIndex(name, "/")+1:], ":")
	whole.Annotations = map[string]string{refName: version, containerName: name}
	text, err := json.Marshal(index{SchemaVersion: 2, Manifests: []descriptor{whole}})
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(layout, "index.json"), text, 0o644); err != nil {
		return err
	}
	return archiveOf(layout, created, file)
}

// joined makes one index, a blob of the layout, of the images that the layout has, and returns its descriptor.
func joined(layout string) (descriptor, error) {
	text, err := os.ReadFile(filepath.Join(layout, "index.json"))
	if err != nil {
		return descriptor{}, err
	}
	var images index
	if err := json.Unmarshal(text, &images); err != nil {
		return descriptor{}, err
	}
	if len(images.Manifests) != len(architectures) {
		return descriptor{}, fmt.Errorf("the layout has %d images, not %d", len(images.Manifests), len(architectures))
	}
	images.MediaType = indexType
	for i, m := range images.Manifests {
		images.Manifests[i].Platform = &platform{Architecture: m.Annotations[refName], OS: "linux"}
		if m.Annotations[refName] == "arm64" {
			images.Manifests[i].Platform.Variant = "v8"
		}
		images.Manifests[i].Annotations = nil
	}
	if text, err = json.Marshal(images); err != nil {
		return descriptor{}, err
	}
	sum := sha256.Sum256(text)
	digest := hex.EncodeToString(sum[:])
	return descriptor{MediaType: indexType, Digest: "sha256:" + digest, Size: int64(len(text))},
		os.WriteFile(filepath.Join(layout, "blobs/sha256", digest), text, 0o644)
}

// archiveOf writes a tar file of a directory in which nothing depends on when, where and by whom that was made.
func archiveOf(dir string, modified time.Time, file string) (err error) {
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	packed := tar.NewWriter(out)
	err = filepath.WalkDir(dir, func(where string, entry fs.DirEntry, err error) error { // in the order of names
		if err != nil || where == dir {
			return err
		}
		name, err := filepath.Rel(dir, where)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return packed.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o755, ModTime: modified})
		}
		return addFile(packed, where, &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, ModTime: modified})
	})
	return errors.Join(err, packed.Close())
}

func addFile(packed *tar.Writer, where string, header *tar.Header) error {
	file, err := os.Open(where)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	header.Size = info.Size()
	if err := packed.WriteHeader(header); err != nil {
		return err
	}
	_, err = io.Copy(packed, file)
	return err
}
