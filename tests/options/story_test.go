// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package options

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testdriver"
)

// player is a driver, and what is done with it.
type player struct {
	*testdriver.Driver

	t     *testing.T
	brick string // one of gv0's, to see what is left there
	tries int
}

// asAsked is what a volume of uid 1001 with the default mode is.
const asAsked = "1001:0 2770"

// comesTo makes a volume, and says so unless that ends as it should.
func (p *player) comesTo(ctx context.Context, want string) error {
	p.tries++
	name := fmt.Sprint("pvc-try", p.tries)
	v, err := p.Create(ctx, name)
	if code, isRefused := strings.CutPrefix(want, "refused: "); isRefused {
		return errors.Join(p.isRefused(ctx, err, code), p.leaves(name))
	}
	if err != nil {
		return err
	}
	target := filepath.Join(p.Dir, "try")
	if err := p.Publish(ctx, v, target); err != nil {
		return err
	}
	is, err := ownerOf(target)
	if err := errors.Join(err, p.Unpublish(ctx, v, target), p.Delete(ctx, v), p.purge(ctx, v)); err != nil {
		return err
	}
	wanted := asAsked
	if bent, isBent := strings.CutPrefix(want, "bends: "); isBent {
		wanted = bent
	}
	if is != wanted {
		return fmt.Errorf("the volume is %s, not %s", is, wanted)
	}
	return nil
}

// isRefused returns nil if a volume was refused with what cures that, and storage health has the reason.
func (p *player) isRefused(ctx context.Context, refusal error, reason string) error {
	if !strings.Contains(fmt.Sprint(refusal), "gluster volume set gv0 ") {
		return fmt.Errorf("it is made, or is not told what cures it: %w", refusal)
	}
	response, err := p.Node.NodeGetStorageHealth(ctx, &csi.NodeGetStorageHealthRequest{})
	for _, condition := range response.GetBackendHealth() {
		if condition.GetReason() == reason {
			return err
		}
	}
	return fmt.Errorf("storage health does not say %s: %v, %w", reason, response, err)
}

// story is what an operator does with a volume on a good day, and on the day of a mistake.
func (p *player) story(ctx context.Context, name string) {
	p.t.Helper()
	v, err := p.Create(ctx, "pvc-"+name)
	p.must("create", err)
	one, two := filepath.Join(p.Dir, name+"-one"), filepath.Join(p.Dir, name+"-two")
	p.must("publish", errors.Join(p.Publish(ctx, v, one), p.Publish(ctx, v, two)))
	const script = "mkdir -p a/b && echo first > a/b/file && echo second >> a/b/file && mv a/b/file a/moved && ln -s moved a/link && rm -r a/b"
	p.must("write as uid 1001", as1001(ctx, one, script))
	p.must("read in the other pod", as1001(ctx, two, `test "$(cat a/link)" = "$(printf 'first\nsecond')"`))
	_, err = p.Controller.ControllerExpandVolume(ctx, &csi.ControllerExpandVolumeRequest{
		VolumeId: v.GetVolumeId(), CapacityRange: &csi.CapacityRange{RequiredBytes: 2 << 30}, VolumeCapability: testdriver.Capability(),
	})
	p.must("expand", err)
	p.must("unpublish", errors.Join(p.Unpublish(ctx, v, one), p.Unpublish(ctx, v, two)))
	p.must("delete", p.Delete(ctx, v))
	entry, err := p.TrashEntry(ctx, v)
	p.must("list the trash", err)
	p.must("restore", p.command(ctx, "trash", "restore", entry))
	p.must("publish", p.Publish(ctx, v, one))
	p.must("read what was restored", as1001(ctx, one, `test "$(tail -n 1 a/moved)" = second`))
	p.must("unpublish", p.Unpublish(ctx, v, one))
	p.must("delete", p.Delete(ctx, v))
	p.must("purge", p.purge(ctx, v))
}

func (p *player) must(what string, err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatalf("%s: %v", what, err)
	}
}

func (p *player) purge(ctx context.Context, v *csi.Volume) error {
	entry, err := p.TrashEntry(ctx, v)
	if err != nil {
		return err
	}
	return p.command(ctx, "trash", "purge", entry)
}

// command runs one of the binary's own commands.
func (p *player) command(ctx context.Context, args ...string) error {
	output, err := p.Command(ctx, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("glusterfs-csi %s: %w: %s", strings.Join(args, " "), err, output)
	}
	return nil
}

// nothingIsLeft fails the test if anything of a volume is on the brick: GlusterFS's own trash is not the driver's.
func (p *player) nothingIsLeft() {
	p.t.Helper()
	if err := p.leaves("pvc-"); err != nil {
		p.t.Error(err)
	}
}

// leaves returns an error if something whose name begins so is on the brick.
func (p *player) leaves(prefix string) error {
	return filepath.WalkDir(p.brick, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case d.Name() == ".glusterfs" || d.Name() == ".trashcan":
			return fs.SkipDir
		case strings.HasPrefix(d.Name(), prefix):
			return fmt.Errorf("%s is left", path)
		}
		return nil
	})
}

// as1001 runs a script as a container's user would.
func as1001(ctx context.Context, dir, script string) error {
	command := exec.CommandContext(ctx, "sh", "-c", script)
	command.Dir = dir
	command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1001, Gid: 0}}
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", script, err, output)
	}
	return nil
}

// ownerOf is "uid:gid mode".
func ownerOf(path string) (string, error) {
	var st syscall.Stat_t
	if err := syscall.Stat(path, &st); err != nil {
		return "", &os.PathError{Op: "stat", Path: path, Err: err}
	}
	return fmt.Sprintf("%d:%d %04o", st.Uid, st.Gid, st.Mode&0o7777), nil
}
