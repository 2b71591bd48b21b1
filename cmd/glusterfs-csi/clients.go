// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/prometheus/procfs"
	"github.com/spf13/cobra"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/client"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/mounter"
)

func clientsCommand() *cobra.Command {
	var o output
	var endpoint string
	c := &cobra.Command{
		Use: "clients", Short: "List the GlusterFS clients of this host, and the version that each runs", Args: noArguments,
		Long: `List the GlusterFS clients of this host, and the version of GlusterFS that each runs. A
client goes on with its version, and with its /etc/hosts and resolv.conf, when the mounter
is updated: "clients replace" gives it the mounter's.`,
		RunE: func(c *cobra.Command, _ []string) error {
			m, err := dialMounter(endpoint)
			if err != nil {
				return err
			}
			infos, err := m.List(c.Context())
			if err != nil {
				return err
			}
			return writeClients(c, o, infos)
		},
	}
	o.add(c)
	addMounter(c, &endpoint)
	c.AddCommand(clientsReplaceCommand())
	return c
}

func addMounter(c *cobra.Command, endpoint *string) {
	c.Flags().StringVar(endpoint, "mounter", "unix:///var/lib/glusterfs-csi/mounter.sock", "where the mounter serves: unix:///path")
}

func clientsReplaceCommand() *cobra.Command {
	var o output
	var endpoint string
	var outdated bool
	c := &cobra.Command{
		Use: "replace [PID...]", Short: "Start another client in the place of these, and move what they have mounted",
		Long: `Start another client in the place of these, with the mounter's version of GlusterFS, and
move what is mounted from them, in containers too. Files that are open stay open at the
old one, which ends when the last of them is closed. Nothing is changed where the new
one does not reach every brick that the old one reaches.`,
		Args: func(_ *cobra.Command, args []string) error {
			if outdated == (len(args) > 0) {
				return fmt.Errorf("%w: give the process IDs of clients, or --outdated", errUsage)
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			m, err := dialMounter(endpoint)
			if err != nil {
				return err
			}
			pids, err := clientsMeant(c.Context(), m, args)
			if err != nil {
				return err
			}
			var replaced []client.Info
			var errs []error
			for _, pid := range pids {
				info, err := m.Renew(c.Context(), pid)
				if err != nil {
					errs = append(errs, err)
					continue
				}
				replaced = append(replaced, info)
			}
			return errors.Join(append(errs, writeClients(c, o, replaced))...)
		},
	}
	o.add(c)
	addMounter(c, &endpoint)
	c.Flags().BoolVar(&outdated, "outdated", false, "all that have another version than the mounter's, or another /etc/hosts or resolv.conf, or end with its container")
	return c
}

// clientsMeant are those of the arguments; without any, those that are outdated.
func clientsMeant(ctx context.Context, m *mounter.Client, args []string) (pids []int, err error) {
	for _, arg := range args {
		pid, err := strconv.Atoi(arg)
		if err != nil {
			return nil, fmt.Errorf("%w: %q is no process ID", errUsage, arg)
		}
		pids = append(pids, pid)
	}
	if len(args) > 0 {
		return pids, nil
	}
	infos, err := m.List(ctx)
	for _, info := range infos {
		if info.Outdated {
			pids = append(pids, info.PID)
		}
	}
	return pids, err
}

func dialMounter(endpoint string) (*mounter.Client, error) {
	onlyErrors()
	path, ok := strings.CutPrefix(endpoint, "unix://")
	if !ok || !strings.HasPrefix(path, "/") {
		return nil, fmt.Errorf("%w: --mounter %q is not unix:///path", errUsage, endpoint)
	}
	return mounter.NewClient(path, version, ""), nil
}

func writeClients(c *cobra.Command, o output, infos []client.Info) error {
	var all []answers.Client
	for _, info := range infos {
		all = append(all, answers.Client{
			Volume: info.Volume.String(), Options: info.Options, PID: info.PID, Program: info.Program, Group: info.Group,
			Outdated: info.Outdated, Memory: memoryOf(info.PID),
		})
	}
	return write(c.OutOrStdout(), o, all, []string{"VOLUME", "OPTIONS", "PROCESS", "GLUSTERFS", "MEMORY", "CONTROL-GROUP"}, func(a answers.Client) []string {
		program := cmp.Or(a.Program, "the container's")
		if a.Outdated {
			program += " (outdated)"
		}
		return []string{
			a.Volume, cmp.Or(strings.Join(a.Options, ","), "-"), strconv.Itoa(a.PID), program, cmp.Or(bytesIEC(a.Memory), "-"),
			cmp.Or(a.Group, "the container's"),
		}
	})
}

// memoryOf is what a process has resident, 0 of one that has ended.
func memoryOf(pid int) int64 {
	process, err := procfs.NewProc(pid)
	if err != nil {
		return 0
	}
	stat, err := process.Stat()
	if err != nil {
		return 0
	}
	return int64(stat.ResidentMemory())
}
