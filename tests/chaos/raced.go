// SPDX-License-Identifier: Apache-2.0

//go:build race

package chaos

// raced says that this process has the race detector.
const raced = true
