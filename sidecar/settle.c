/* SPDX-License-Identifier: MIT */
/* settle - when to act on what happens. */
#include "settle.h"

void settle_note(struct settle *settle, uint64_t now_micros)
{
	if (settle->first_micros == 0)
		settle->first_micros = now_micros;
}

unsigned long settle_wait_ms(const struct settle *settle, uint64_t now_micros)
{
	uint64_t waited = (now_micros - settle->first_micros) / 1000;

	if (waited >= SETTLE_MAX_MS)
		return 0;
	if (waited + SETTLE_QUIET_MS > SETTLE_MAX_MS)
		return SETTLE_MAX_MS - waited;
	return SETTLE_QUIET_MS;
}

uint64_t settle_take(struct settle *settle)
{
	uint64_t first = settle->first_micros;

	*settle = (struct settle){ 0 };
	return first;
}

unsigned long settle_retry_ms(unsigned long first_ms, unsigned long last_ms, unsigned tries)
{
	unsigned long ms = first_ms;

	for (unsigned i = 0; i < tries && ms < last_ms; i++)
		ms *= 2;
	return ms < last_ms ? ms : last_ms;
}
