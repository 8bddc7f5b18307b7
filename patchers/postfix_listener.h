/* SPDX-License-Identifier: MIT */
/* postfix_listener - a Postfix service that shall have a twin, as configured. */
#ifndef PATCHERS_POSTFIX_LISTENER_H
#define PATCHERS_POSTFIX_LISTENER_H

#include <stdbool.h>
#include <stdint.h>

struct postfix_listener {
	const char *name; /* value of the mark: letters, digits, '_' */
	uint16_t stock_port;
	uint16_t port;         /* of the twin; unused in in-place mode */
	bool trust_mynetworks; /* leave mynetworks as the stock entry has it */
	bool adopt;            /* replace a recipe's entry on our port */
};

#endif
