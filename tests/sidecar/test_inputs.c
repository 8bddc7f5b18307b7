/* SPDX-License-Identifier: MIT */
/* inputs: postern.conf and the override files of one ConfigMap are of one generation. */
#include "kubelet.h"
#include "sandbox.h"
#include "swaps.h"

#include "patchers/base/notes.h"
#include "patchers/inet_service.h"
#include "sidecar/inputs.h"

#include <stdio.h>

#define FOLDER "/volume"

enum { SWAPS = 10000 };

/* The same number in postern.conf, where it is the resync, and in an override file. */
static void write_generation(const struct sandbox *s, int i)
{
	char conf[160], number[16];
	const struct kubelet_key keys[] = { { "postern.conf", conf },
					    { "postfix-main.cf", number },
					    { 0 } };

	snprintf(conf, sizeof(conf),
		 "trusted-networks = { \"10.0.0.0/8\" }\noverrides \"" FOLDER
		 "\" { }\nresync = %d\n",
		 i);
	snprintf(number, sizeof(number), "%d", i);
	kubelet_write(sandbox_path(s, FOLDER), KUBELET_NEW, keys);
}

static void read_once(const struct sandbox *s, struct swaps_tally *tally)
{
	CLEANUP(inputs_release) struct inputs inputs = INPUTS_INIT;
	CLEANUP(notes_release) struct notes notes = NOTES_INIT;
	const struct port_names no_names = { 0 };
	struct settings_request request = {
		.path = sandbox_path(s, FOLDER "/postern.conf"),
		.root = &s->root,
		.port_names = &no_names,
		.networks_needed = true,
	};
	struct error err = { 0 };
	long number;
	int rc;

	rc = inputs_read(&request, &inputs, &notes, &err);
	if (rc < 0) {
		swaps_count_failure(tally, rc);
		return;
	}
	number = strtol(buf_text(&inputs.overrides.files[OVERRIDE_MAIN_CF].text), NULL, 10);
	if (number == (long)inputs.settings.resync_s)
		tally->whole++;
	else
		tally->torn++;
	tally->last = number;
}

static void conf_and_overrides_are_of_one_generation(void **state)
{
	const struct sandbox *s = *state;

	sandbox_make_folder(s, FOLDER);
	swaps_assert_whole(s, write_generation, SWAPS, read_once);
}

/* Least of all would it do to take the default's place: nothing is configured then. */
static void conf_is_there_at_every_moment(void **state)
{
	const struct sandbox *s = *state;
	const struct settings_request request = {
		.path = sandbox_path(s, FOLDER "/postern.conf"),
		.root = &s->root,
	};
	int n_read = 0, n_missed = 0;
	pid_t child;

	sandbox_make_folder(s, FOLDER);
	child = swaps_start(s, write_generation, SWAPS);
	while (!sandbox_has_ended(child)) {
		cleanup_buf struct buf text = BUF_INIT;

		n_read++;
		n_missed += settings_fetch(&request, &text, NULL) < 0 || text.len == 0;
	}
	sandbox_end(child);
	print_message("%d read, %d missed\n", n_read, n_missed);
	assert_int_equal(n_missed, 0);
	assert_true(n_read > 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(conf_and_overrides_are_of_one_generation,
						sandbox_set_up, sandbox_tear_down),
		cmocka_unit_test_setup_teardown(conf_is_there_at_every_moment, sandbox_set_up,
						sandbox_tear_down),
	};

	sandbox_enter_private_mounts();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
