/* SPDX-License-Identifier: MIT */
/* privileges - what this process may do (capabilities(7), by libcap-ng). */
#include "privileges.h"

#include <cap-ng.h>

static const struct {
	unsigned capability;
	const char *name;
} table[] = {
	[PRIVILEGE_CHOWN] = { CAP_CHOWN, "CHOWN" },
	[PRIVILEGE_DAC_OVERRIDE] = { CAP_DAC_OVERRIDE, "DAC_OVERRIDE" },
	[PRIVILEGE_FOWNER] = { CAP_FOWNER, "FOWNER" },
	[PRIVILEGE_KILL] = { CAP_KILL, "KILL" },
	[PRIVILEGE_NET_ADMIN] = { CAP_NET_ADMIN, "NET_ADMIN" },
	[PRIVILEGE_SYS_CHROOT] = { CAP_SYS_CHROOT, "SYS_CHROOT" },
	[PRIVILEGE_SYS_PTRACE] = { CAP_SYS_PTRACE, "SYS_PTRACE" },
};

_Static_assert(sizeof(table) / sizeof(table[0]) == PRIVILEGE_COUNT, "a row for each privilege");

bool privileges_have(enum privilege privilege)
{
	return capng_have_capability(CAPNG_EFFECTIVE, table[privilege].capability) == 1;
}

const char *privileges_name(enum privilege privilege)
{
	return table[privilege].name;
}
