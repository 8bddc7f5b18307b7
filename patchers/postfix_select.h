/* SPDX-License-Identifier: MIT */
/* postfix_select - which services of a master.cf get a twin. */
#ifndef PATCHERS_POSTFIX_SELECT_H
#define PATCHERS_POSTFIX_SELECT_H

#include "base/span.h"
#include "postfix_listener.h"

struct error;
struct main_cf;
struct notes;
struct port_names;
struct postfix_selection;

struct postfix_twins_request {
	struct span master_cf;
	const struct main_cf *main_cf;
	const struct port_names *port_names;
	const struct postfix_listener *listeners;
	size_t n_listeners;
	bool in_place;
};

/*
 * Select in a master.cf without anything of ours, which `out`, empty before, refers
 * to afterwards; see postfix_render.h.  Errors and notes as postfix_twins_plan().
 * Release with postfix_selection_release(), also on failure.
 */
int postfix_select(const struct postfix_twins_request *request, struct span stripped,
		   struct postfix_selection *out, struct notes *notes, struct error *err);
void postfix_selection_release(struct postfix_selection *selection);

#endif
