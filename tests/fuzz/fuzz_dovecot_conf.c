/* SPDX-License-Identifier: MIT */
/* fuzz_dovecot_conf - a bundle of files: the laws of reading, relocating, planning. */
#include "fuzz.h"

#include "tests/support/bundle.h"
#include "tests/support/dovecot_laws.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct bundle tree;
	struct span text = fuzz_input(data, size);

	bundle_parse(text, &tree);
	if (tree.n_files == 0)
		bundle_add(&tree, DOVECOT_MAIN, text);
	if (!bundle_find(&tree, DOVECOT_MAIN))
		return 0;
	fuzz_law(dovecot_laws_broken(&tree, false));
	fuzz_law(dovecot_laws_broken(&tree, true));
	return 0;
}
