// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package owndir_test

import (
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

func TestMain(m *testing.M) { testcluster.Main(m) }
