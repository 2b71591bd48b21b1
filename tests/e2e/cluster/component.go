// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/tests/e2e/cache"
)

const (
	// componentTimeout bounds the start of one component, on a busy machine.
	componentTimeout = 2 * time.Minute
	stopTimeout      = 30 * time.Second
	requestTimeout   = 5 * time.Second
	// absences are how many times in a row a process must not be found to have exited.
	absences = 20
)

// component is a program that runs on a machine for as long as that does.
type component struct {
	machine *machine
	program string // its path there
	args    []string
	ready   func(context.Context) error // whether it serves
}

func (c *component) name() string { return filepath.Base(c.program) }

func (c *component) processes() ([]process, error) {
	return c.machine.processes(func(p process) bool { return p.args[0] == c.program })
}

// start starts it unless it runs, and returns when it is ready.
func (c *component) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, componentTimeout)
	defer cancel()
	running, err := c.processes()
	if err != nil {
		return err
	}
	if len(running) == 0 {
		if err := c.machine.daemon(ctx, c.name(), append([]string{c.program}, c.args...)...); err != nil {
			return err
		}
	}
	var exited error
	absent := 0
	err = poll(ctx, c.name()+" on "+c.machine.name, func() error {
		running, err := c.processes()
		if err != nil {
			return err
		}
		if len(running) > 0 {
			absent = 0
			return c.ready(ctx)
		}
		// One that has just been started is not yet what it is going to be.
		if absent++; absent < absences {
			return errors.New("it is not there")
		}
		exited = fmt.Errorf("%s on %s has exited: %s", c.name(), c.machine.name, c.lastLines())
		return nil
	})
	return errors.Join(err, exited)
}

// stop asks it to end, as an init does, and returns when it has.
func (c *component) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	running, err := c.processes()
	for _, p := range running {
		err = errors.Join(err, p.signal(syscall.SIGTERM))
	}
	if err != nil {
		return err
	}
	return poll(ctx, c.name()+" on "+c.machine.name+" to end", func() error {
		if left, err := c.processes(); err != nil || len(left) > 0 {
			return errors.Join(err, fmt.Errorf("still there: %v", left))
		}
		return nil
	})
}

// lastLines are from its log.
func (c *component) lastLines() string {
	const enough = 5
	data, err := os.ReadFile(cache.Path("log", c.machine.name, c.name()+".log"))
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return strings.Join(lines[max(0, len(lines)-enough):], "\n")
}

// answers says whether a GET of a URL with a numeric host, from within the machine's network, is answered with 200.
func (m *machine) answers(ctx context.Context, url string, config *tls.Config) error {
	client := &http.Client{
		Timeout:   requestTimeout,
		Transport: &http.Transport{DialContext: m.dial, TLSClientConfig: config, DisableKeepAlives: true},
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, response.Status)
	}
	return nil
}

// accepts says whether somebody accepts connections at a TCP address, from within the machine's network.
func (m *machine) accepts(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	conn, err := m.dial(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return conn.Close()
}

// listens says whether somebody accepts connections at a socket in the machine's file system.
func (m *machine) listens(socket string) error {
	path, err := m.path(socket)
	if err != nil {
		return err
	}
	conn, err := net.DialTimeout("unix", path, requestTimeout)
	if err != nil {
		return err
	}
	return conn.Close()
}
