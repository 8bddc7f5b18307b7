/* SPDX-License-Identifier: MIT */
/*
 * kubelet - write a ConfigMap volume with the system calls that kubelet makes,
 * in its order (pkg/volume/util/atomic_writer.go).
 *
 * tests/lab/kubelet.py is the same for the system tests.
 */
#ifndef TESTS_SIDECAR_KUBELET_H
#define TESTS_SIDECAR_KUBELET_H

#include <stdbool.h>

enum kubelet_order {
	KUBELET_NEW, /* the names of new keys are made after "..data" is swapped */
	KUBELET_OLD, /* before */
};

struct kubelet_key {
	const char *name; /* NULL ends a list */
	const char *text;
};

/*
 * Make the volume in the folder `path` hold these keys and no others.  False
 * when it did already: then nothing is written.  Ends the program when a call
 * fails; safe in a child of a test.
 */
bool kubelet_write(const char *path, enum kubelet_order order, const struct kubelet_key keys[]);

#endif
