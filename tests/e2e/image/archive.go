// SPDX-License-Identifier: Apache-2.0

// Package image makes archives of container images, without a registry and without a builder: each has one layer, of a few files.
package image

import (
	"archive/tar"
	"bytes"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Image is what an archive holds.
type Image struct {
	Names      []string // with tags
	Entrypoint []string
	Command    []string
	User       string // by default root
	Path       string // where programs are looked for at last, after the usual places
	Files      []File // each directory before what is in it; those above a file are made as needed
}

// File is one file of an image. Its owner is root.
type File struct {
	Path   string
	Mode   int64  // as in chmod(1); by default 0755
	From   string // the file of this computer that it is a copy of
	Text   string // or its content
	Link   string // or what it is a link to
	Folder bool   // or it is a directory
}

// Write writes the archive, in one step. The same image gives the same bytes.
func (i Image) Write(archive string) error {
	layer, err := i.layer()
	if err != nil {
		return err
	}
	made, err := mutate.AppendLayers(empty.Image, static.NewLayer(layer, types.DockerUncompressedLayer))
	if err != nil {
		return err
	}
	config, err := made.ConfigFile()
	if err != nil {
		return err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", runtime.GOARCH
	config.Config = v1.Config{
		Entrypoint: i.Entrypoint, Cmd: i.Command, User: i.User,
		Env: []string{"PATH=" + strings.TrimSuffix("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:"+i.Path, ":")},
	}
	tags := map[name.Reference]v1.Image{}
	for _, text := range i.Names {
		tag, err := name.NewTag(text)
		if err != nil {
			return err
		}
		// Each name has an image of its own, as the library writes the names of one in any order. Their layer is written once.
		if tags[tag], err = mutate.ConfigFile(made, config); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Dir(archive), 0o755); err != nil {
		return err
	}
	if err := tarball.MultiRefWriteToFile(archive+".new", tags); err != nil {
		return err
	}
	return os.Rename(archive+".new", archive)
}

// layer is a tar of the files.
func (i Image) layer() ([]byte, error) {
	var buffer bytes.Buffer
	w := tar.NewWriter(&buffer)
	var above []string // directories that are there
	for _, file := range i.Files {
		for _, folder := range folders(file.Path) {
			if slices.Contains(above, folder) {
				continue
			}
			above = append(above, folder)
			if err := (File{Path: folder, Folder: true}).write(w); err != nil {
				return nil, err
			}
		}
		if file.Folder {
			above = append(above, file.Path)
		}
		if err := file.write(w); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return buffer.Bytes(), err
}

// folders are the directories above a path, the highest first, without the root.
func folders(file string) []string {
	var found []string
	for folder := path.Dir(file); folder != "/" && folder != "."; folder = path.Dir(folder) {
		found = append(found, folder)
	}
	slices.Reverse(found)
	return found
}

func (f File) write(w *tar.Writer) error {
	header := &tar.Header{Name: strings.TrimPrefix(f.Path, "/"), Mode: f.Mode, Typeflag: tar.TypeReg}
	if header.Mode == 0 {
		header.Mode = 0o755
	}
	content := []byte(f.Text)
	switch {
	case f.Folder:
		header.Name, header.Typeflag = header.Name+"/", tar.TypeDir
	case f.Link != "":
		header.Typeflag, header.Linkname, header.Mode = tar.TypeSymlink, f.Link, 0o777
	case f.From != "":
		var err error
		if content, err = os.ReadFile(f.From); err != nil {
			return err
		}
	}
	header.Size = int64(len(content))
	if err := w.WriteHeader(header); err != nil {
		return err
	}
	_, err := w.Write(content)
	return err
}
