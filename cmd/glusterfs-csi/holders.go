// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/holders"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/statedir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/pods"
)

func holdersCommand(shared *sharedFlags) *cobra.Command {
	var o output
	c := &cobra.Command{
		Use:   "holders",
		Short: "List the processes of this host that keep files of clients open that have ended",
		Long: `List the processes of this host that keep files of clients open that have ended. Files of
a dead one stay dead until the process opens them anew: restart it. Files of one that was
replaced work; it ends when the last of them is closed.`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			onlyErrors()
			root, err := statedir.Open(shared.stateDir)
			if err != nil {
				return err
			}
			found, err := holders.Look(c.Context(), root)
			if errWrite := write(c.OutOrStdout(), o, found, []string{
				"POD", "CONTAINER", "PROCESS", "COMMAND", "FILES", "WRITABLE", "MAPPED", "DIRECTORY-IN-USE", "VOLUME", "DIRECTORY", "CLIENT", "SINCE",
			}, holderRow); errWrite != nil {
				return errWrite
			}
			return err
		},
	}
	o.add(c)
	return c
}

func holderRow(h statedir.Holder) []string {
	client, inUse := "dead", "-"
	if h.Replaced {
		client = "replaced"
	}
	switch {
	case h.RootDir:
		inUse = "root"
	case h.Cwd:
		inUse = "working"
	}
	const short = 12
	id := pods.Container{Group: h.Container}.ID()
	return []string{
		cmp.Or(h.Pod, "-"), cmp.Or(id[:min(len(id), short)], "-"), strconv.Itoa(h.PID), cmp.Or(line(h.Command), "-"), strconv.Itoa(h.Files),
		strconv.Itoa(h.Writable), strconv.Itoa(h.Mapped), inUse, h.Volume.String(), cmp.Or(h.Root, "?"), client, isoTime(h.Since),
	}
}
