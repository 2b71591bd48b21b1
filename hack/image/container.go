// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testdriver"
)

const (
	startTimeout = 60 * time.Second // under emulation, on a busy machine
	callTimeout  = 60 * time.Second
)

// driver is the image's driver, running, and its caller.
type driver struct {
	process *exec.Cmd
	log     string // a file
	caller  *testdriver.Caller
	ended   chan struct{}
}

// contain runs the image as the manifests do: root read-only, everything else mounted, this machine's network and processes.
// What is below shared is the same inside and outside, mounts too. System calls that are in without do not exist in there.
func contain(ctx context.Context, root, shared string, without []string, args ...string) (*driver, error) {
	bundle, err := os.MkdirTemp(filepath.Dir(shared), "bundle")
	if err != nil {
		return nil, err
	}
	config, err := json.Marshal(specification(root, shared, without, args))
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(bundle, "config.json"), config, 0o600); err != nil {
		return nil, err
	}
	return start(ctx, bundle, filepath.Join(shared, "csi.sock"), "runc", "--root", filepath.Join(bundle, "state"),
		"run", "--bundle", bundle, filepath.Base(bundle))
}

// start runs a program that serves CSI on the socket, and waits until it is ready.
func start(ctx context.Context, dir, socket, program string, args ...string) (*driver, error) {
	d := &driver{process: exec.Command(program, args...), log: filepath.Join(dir, "log"), ended: make(chan struct{})}
	log, err := os.Create(d.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	d.process.Stdout, d.process.Stderr = log, log
	if err := d.process.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = d.process.Wait() // its log says why
		close(d.ended)
	}()
	if d.caller, err = testdriver.Dial("unix:" + socket); err == nil {
		err = d.ready(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, d.stop())
	}
	return d, nil
}

// ready waits until Probe says so.
func (d *driver) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	err := testcluster.Poll(ctx, func() error {
		select {
		case <-d.ended:
			cancel()
			return errors.New("the driver has ended")
		default:
		}
		response, err := d.caller.Identity.Probe(ctx, &csi.ProbeRequest{})
		if err == nil && !response.GetReady().GetValue() {
			err = errors.New("not ready yet")
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("call Probe: %w\n%s", err, d.logged())
	}
	return nil
}

func (d *driver) logged() string {
	data, err := os.ReadFile(d.log)
	if err != nil {
		return err.Error()
	}
	return string(data)
}

// stop ends the driver as Kubernetes does.
func (d *driver) stop() error {
	if d.caller != nil {
		_ = d.caller.Close()
	}
	if err := d.process.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-d.ended:
		return nil
	case <-time.After(startTimeout):
		return errors.Join(errors.New("the driver does not end"), d.process.Process.Kill())
	}
}

// specification is an OCI runtime configuration (runtime-spec 1.0).
func specification(root, shared string, without, args []string) map[string]any {
	type object = map[string]any
	type list = []any
	bind := func(path string, options ...string) object {
		return object{"destination": path, "source": path, "type": "bind", "options": append([]string{"rbind"}, options...)}
	}
	tmpfs := func(path string) object {
		return object{"destination": path, "source": "tmpfs", "type": "tmpfs", "options": []string{"mode=0755"}}
	}
	capabilities := []string{
		"CAP_SYS_ADMIN", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_SETUID", "CAP_SETGID", "CAP_KILL",
		"CAP_SYS_CHROOT", "CAP_MKNOD", "CAP_SYS_NICE", "CAP_SYS_PTRACE", "CAP_NET_BIND_SERVICE",
	}
	linux := object{
		"namespaces": list{object{"type": "mount"}}, "rootfsPropagation": "rshared",
		"resources": object{"devices": list{object{"allow": true, "access": "rwm"}}}, // /dev/fuse, as in a privileged pod
	}
	if len(without) > 0 {
		const enosys = 38
		linux["seccomp"] = object{
			"defaultAction": "SCMP_ACT_ALLOW", "architectures": list{"SCMP_ARCH_X86_64"},
			"syscalls": list{object{"names": without, "action": "SCMP_ACT_ERRNO", "errnoRet": enosys}},
		}
	}
	return object{
		"ociVersion": "1.0.0",
		"root":       object{"path": root, "readonly": true},
		"process": object{
			"args": append([]string{"/usr/bin/glusterfs-csi"}, args...), "cwd": "/", "env": []string{"PATH=/usr/sbin:/usr/bin"},
			"user":         object{"uid": 0, "gid": 0},
			"capabilities": object{"bounding": capabilities, "effective": capabilities, "permitted": capabilities},
		},
		"mounts": list{
			object{"destination": "/proc", "source": "proc", "type": "proc"}, bind("/dev"), bind("/sys", "ro"),
			tmpfs("/tmp"), tmpfs("/run/glusterfs-csi"), bind(shared, "rshared"),
		},
		"linux": linux,
	}
}
