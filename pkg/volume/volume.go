// SPDX-License-Identifier: Apache-2.0

// Package volume says what a volume is: what was asked for, what its record says, what of it may change, the IDs and
// paths by which it is known, and the kinds of failure. It does no I/O.
//
// The packages below keep volumes on a Gluster volume, one directory each; each knows only those before it:
//
//	store      the driver's own directory: records, claims of paths, attributes, gfids
//	creation   the place of a volume: claimed, made, taken back
//	copying    copies of trees that go on whoever dies: claimed, leased, complete, given up
//	snapshot   the snapshots among them
//	trash      what was deleted: moved, held, restored, removed when it is due
//	check      records against directories
//	lifecycle  create, adopt, delete, publish, expand, modify on one Gluster volume
//	manager    deadlines, locks and clients for all of that, and what is done without a call
package volume
