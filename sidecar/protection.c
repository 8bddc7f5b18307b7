/* SPDX-License-Identifier: MIT */
/* protection - what keeps a forged PROXY header from doing harm. */
#include "protection.h"

#include "settings.h"

const char *protection_of_mynetworks(const struct settings *settings)
{
	for (size_t i = 0; i < settings->postfix.n_listeners; i++)
		if (settings->postfix.listeners[i].trust_mynetworks)
			return "given up by trust-mynetworks";
	return "in force";
}

const char *protection_of_policy(void)
{
	return "cannot be seen from here";
}
