/* SPDX-License-Identifier: MIT */
/* gate_privilege - the right to filter packets, given up where no gate is wanted. */
#include "gate_privilege.h"

#include "gate.h"
#include "log.h"
#include "patchers/base/error.h"
#include "privileges.h"
#include "report.h"

#include <string.h>

void gate_privilege_heed(const struct report *report)
{
	static bool is_decided;
	struct error err = { 0 };

	if (is_decided || report->outcome != REPORT_CURRENT || !report->gate ||
	    strcmp(report->gate, GATE_STANDS_TEXT) == 0)
		return;
	is_decided = true;
	if (strcmp(report->gate, GATE_OFF_TEXT) != 0 || !privileges_have(PRIVILEGE_NET_ADMIN))
		return;
	if (privileges_give_up(PRIVILEGE_NET_ADMIN, &err) < 0)
		log_warning("gate = \"off\", but CAP_NET_ADMIN is still there: %s", err.msg);
	else
		log_notice("gate = \"off\": CAP_NET_ADMIN is given up; a gate wants a new start");
}
