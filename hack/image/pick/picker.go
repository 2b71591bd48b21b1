// SPDX-License-Identifier: Apache-2.0

package main

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// controlDir is where dpkg-deb --control puts what a package says of itself, in a package's directory.
const controlDir = "DEBIAN"

// pkg is an unpacked package.
type pkg struct{ name, version, architecture, dir string }

// file is one of a package's files or links.
type file struct {
	path string // where it is unpacked
	pkg  pkg
	size int64
	link string // the target in the image, of a link
}

// own is the package's own name for the file, from before /usr was merged.
func (f file) own() string {
	name, err := filepath.Rel(f.pkg.dir, f.path)
	if err != nil {
		return f.path // it was found below the directory
	}
	return name
}

// picker knows all unpacked files by their paths in the image, without a leading slash.
type picker struct {
	all    map[string]file
	picked map[string]bool
}

func open(unpacked string) (*picker, error) {
	dirs, err := os.ReadDir(unpacked)
	if err != nil {
		return nil, err
	}
	p := &picker{all: map[string]file{}, picked: map[string]bool{}}
	for _, dir := range dirs {
		parts := strings.Split(dir.Name(), "_")
		if len(parts) != 3 {
			return nil, fmt.Errorf("%s is not named as a package: name_version_architecture", dir.Name())
		}
		version := strings.ReplaceAll(parts[1], "%3a", ":") // as apt writes an epoch
		if err := p.index(pkg{parts[0], version, parts[2], filepath.Join(unpacked, dir.Name())}); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (p *picker) index(from pkg) error {
	return filepath.WalkDir(from.dir, func(where string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from.dir, where)
		if err != nil {
			return err
		}
		if name == controlDir {
			return fs.SkipDir
		}
		if entry.IsDir() {
			return nil
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		f := file{path: where, pkg: from, size: info.Size()}
		name = merged(name)
		if entry.Type() == fs.ModeSymlink {
			target, err := os.Readlink(where)
			if err != nil {
				return err
			}
			if !path.IsAbs(target) {
				target = path.Join("/", path.Dir(name), target)
			}
			f.link = merged(strings.TrimPrefix(path.Clean(target), "/"))
		}
		p.all[name] = f
		return nil
	})
}

// merged is a path in a merged /usr.
func merged(name string) string {
	for _, dir := range []string{"bin/", "sbin/", "lib/", "lib64/"} {
		if strings.HasPrefix(name, dir) {
			return "usr/" + name
		}
	}
	return name
}

// take picks what matches the pattern, which something must, with all that it links.
func (p *picker) take(pattern string) error {
	found := false
	for name := range p.all {
		if ok, err := path.Match(pattern, name); err != nil || !ok {
			continue
		}
		found = true
		if err := p.pick(name); err != nil {
			return err
		}
	}
	if !found {
		return fmt.Errorf("no package has %s", pattern)
	}
	return nil
}

func (p *picker) pick(name string) error {
	if p.picked[name] {
		return nil
	}
	f, ok := p.all[name]
	if !ok {
		return fmt.Errorf("no package has %s", name)
	}
	p.picked[name] = true
	if f.link != "" {
		return p.pick(f.link)
	}
	needed, err := needs(f.path)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	for _, library := range needed {
		if err := p.pickLibrary(library); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// pickLibrary picks a library by its name, or the dynamic loader by its path.
func (p *picker) pickLibrary(library string) error {
	if path.IsAbs(library) {
		return p.pick(merged(library[1:]))
	}
	for name := range p.all {
		if ok, _ := path.Match("usr/lib/*/"+library, name); ok || name == "usr/lib/"+library {
			return p.pick(name)
		}
	}
	return fmt.Errorf("it links %s, which no package has", library)
}

// needs lists the libraries and the loader of an ELF file, and nothing for another file.
func needs(where string) ([]string, error) {
	f, err := elf.Open(where)
	var malformed *elf.FormatError
	if errors.As(err, &malformed) || errors.Is(err, io.EOF) { // a text, however short
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	needed, err := f.ImportedLibraries()
	if err != nil {
		return nil, err
	}
	for _, segment := range f.Progs {
		if segment.Type == elf.PT_INTERP {
			loader, err := io.ReadAll(segment.Open())
			if err != nil {
				return nil, err
			}
			needed = append(needed, strings.TrimRight(string(loader), "\x00"))
		}
	}
	return needed, nil
}

// taken lists what was picked, sorted.
func (p *picker) taken() []string { return sorted(p.picked) }

func sorted(names map[string]bool) []string { return slices.Sorted(maps.Keys(names)) }

func (p *picker) size(name string) int64 {
	if f := p.all[name]; f.link == "" {
		return f.size
	}
	return 0
}

// packages lists those of which something was picked, by name.
func (p *picker) packages() []pkg {
	used := map[string]pkg{}
	for name := range p.picked {
		used[p.all[name].pkg.name] = p.all[name].pkg
	}
	return slices.SortedFunc(maps.Values(used), func(a, b pkg) int { return strings.Compare(a.name, b.name) })
}

func (p *picker) copyTo(root string) error {
	for _, name := range p.taken() {
		f, target := p.all[name], filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		if f.link != "" {
			relative, err := filepath.Rel(path.Dir("/"+name), "/"+f.link)
			if err == nil {
				err = os.Symlink(relative, target)
			}
			if err != nil {
				return err
			}
			continue
		}
		if err := copyFile(f.path, target); err != nil {
			return err
		}
	}
	return nil
}

// copyFile keeps whether a file is a program, and drops set-user-ID: everything here runs as root.
func copyFile(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, info.Mode().Perm())
}

// copyright copies a package's licence. Debian's policy has one in every package, or a link from its directory to another's.
func (p *picker) copyright(of pkg, root string) error {
	directory := "usr/share/doc/" + of.name
	source := directory
	if link, ok := p.all[directory]; ok && link.link != "" {
		source = link.link
	}
	f, ok := p.all[source+"/copyright"]
	if !ok || f.link != "" {
		return fmt.Errorf("the licence of package %s is not at %s/copyright", of.name, source)
	}
	target := filepath.Join(root, directory, "copyright")
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return err
	}
	return copyFile(f.path, target)
}
