// SPDX-License-Identifier: Apache-2.0

package process

import "github.com/prometheus/procfs"

// Use is what a process has of the host.
type Use struct {
	Memory      int64 // resident, in bytes
	Descriptors int   // that it has open
}

// Use asks the kernel, which asks no file system for it. An error says that the process has ended, or is not to be seen.
func (p *Process) Use() (Use, error) {
	of, err := procfs.NewProc(p.PID)
	if err != nil {
		return Use{}, err
	}
	stat, err := of.Stat()
	if err != nil {
		return Use{}, err
	}
	descriptors, err := of.FileDescriptorsLen()
	return Use{Memory: int64(stat.ResidentMemory()), Descriptors: descriptors}, err
}
