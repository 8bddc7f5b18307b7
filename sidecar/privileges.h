/* SPDX-License-Identifier: MIT */
/* privileges - what this process may do (capabilities(7), by libcap-ng). */
#ifndef SIDECAR_PRIVILEGES_H
#define SIDECAR_PRIVILEGES_H

#include <stdbool.h>

enum privilege {
	PRIVILEGE_CHOWN,
	PRIVILEGE_DAC_OVERRIDE,
	PRIVILEGE_FOWNER,
	PRIVILEGE_KILL,
	PRIVILEGE_NET_ADMIN,
	PRIVILEGE_SYS_CHROOT,
	PRIVILEGE_SYS_PTRACE,
	PRIVILEGE_COUNT
};

/* Whether the capability is in the effective set. */
bool privileges_have(enum privilege privilege);

/* Its name without "CAP_", upper case. */
const char *privileges_name(enum privilege privilege);

#endif
