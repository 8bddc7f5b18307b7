/* SPDX-License-Identifier: MIT */
/*
 * protection - what keeps a forged PROXY header from doing harm, and how far it
 * is in force, in words for `check` and `status`.
 */
#ifndef SIDECAR_PROTECTION_H
#define SIDECAR_PROTECTION_H

struct settings;

/* Twins have an empty mynetworks. */
const char *protection_of_mynetworks(const struct settings *settings);

/* The cluster's NetworkPolicy. */
const char *protection_of_policy(void);

#endif
