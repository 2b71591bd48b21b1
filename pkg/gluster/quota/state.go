// SPDX-License-Identifier: Apache-2.0

package quota

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/glusterd"
)

// ErrInexact says that quota is on, with options of the Gluster volume that let a volume be filled beyond its limit, or
// that hide the limit from df.
var ErrInexact = errors.New("quota of the Gluster volume does not hold volumes to their limits")

// SoftTimeout and HardTimeout are what State.Commands set: below its soft limit a volume is measured every five
// seconds, above it with each write.
const (
	SoftTimeout = 5 * time.Second
	HardTimeout = 0
)

// What GlusterFS takes where an option is not set (xlators/features/quota/src/quota.c).
const (
	defaultSoftTimeout = 60 * time.Second
	defaultHardTimeout = 5 * time.Second
)

// State is what the bricks of a Gluster volume have been told about quota. The zero value is of one where it is off.
type State struct {
	On          bool
	SoftTimeout time.Duration // how old an answer may be that a brick goes by below a soft limit
	HardTimeout time.Duration // … above it
	DeemStatfs  bool          // df shows a limit as the size
	// Version is another one each time that quota is turned on: limits of the times before are forgotten.
	Version string
}

// Check returns nil if limits of Choose hold exactly, else ErrOff or ErrInexact with what to run on a server.
func (s State) Check(v gluster.Volume) error {
	commands := s.Commands(v)
	if len(commands) == 0 {
		return nil
	}
	kind := ErrInexact
	if !s.On {
		kind = ErrOff
	}
	return fmt.Errorf("%s: %w: on one of its servers run `%s`", v, kind, strings.Join(commands, "`, then `"))
}

// Commands are what makes limits hold, to be run on one server of the Gluster volume, in this order; none where they
// do. Quota that is turned off forgets its timeouts along with all limits
// (TestQuotaThatWasOffHasForgottenLimitsAndTimeouts).
func (s State) Commands(v gluster.Volume) []string {
	var commands []string
	add := func(needed bool, words string) {
		if needed {
			commands = append(commands, fmt.Sprintf(words, v.Name))
		}
	}
	add(!s.On, "gluster volume quota %s enable")
	add(!s.On || s.SoftTimeout > SoftTimeout, "gluster volume quota %s soft-timeout "+seconds(SoftTimeout))
	add(!s.On || s.HardTimeout > HardTimeout, "gluster volume quota %s hard-timeout "+seconds(HardTimeout))
	add(s.On && !s.DeemStatfs, "gluster volume set %s quota-deem-statfs on") // enable does it
	return commands
}

func seconds(d time.Duration) string { return strconv.Itoa(int(d / time.Second)) }

// StateOf reads the volfile of a brick.
func StateOf(brick glusterd.Volfile) (State, error) {
	translator, ok := brick.First("features/quota")
	if !ok {
		return State{}, errors.New("its bricks have no translator features/quota")
	}
	if !translator.IsOn("server-quota") {
		return State{}, nil
	}
	marker, _ := brick.First("features/marker") // which counts what is used
	s := State{On: true, DeemStatfs: translator.IsOn("deem-statfs"), Version: marker.Options["quota-version"]}
	var errSoft, errHard error
	s.SoftTimeout, errSoft = duration(translator.Options["soft-timeout"], defaultSoftTimeout)
	s.HardTimeout, errHard = duration(translator.Options["hard-timeout"], defaultHardTimeout)
	if err := errors.Join(errSoft, errHard); err != nil {
		return State{}, err
	}
	return s, nil
}

// maxTimeout is the longest that GlusterFS takes (30 days), and more than any that matters here.
const maxTimeout = 30 * 24 * time.Hour

// duration is GlusterFS's gf_string2time: a number, of seconds where no unit follows.
func duration(value string, preset time.Duration) (time.Duration, error) {
	if value == "" {
		return preset, nil
	}
	digits := strings.TrimRight(value, "abcdefghijklmnopqrstuvwxyz")
	units := map[string]time.Duration{
		"": time.Second, "s": time.Second, "sec": time.Second, "m": time.Minute, "min": time.Minute, "h": time.Hour, "hr": time.Hour,
		"d": 24 * time.Hour, "days": 24 * time.Hour, "w": 7 * 24 * time.Hour, "wk": 7 * 24 * time.Hour,
	}
	number, err := strconv.ParseUint(digits, 10, 32)
	unit, ok := units[value[len(digits):]]
	if err != nil || !ok {
		return 0, fmt.Errorf("a timeout of quota is %q, which is no time", value)
	}
	if number > uint64(maxTimeout/unit) {
		return maxTimeout, nil
	}
	return time.Duration(number) * unit, nil
}
