/* SPDX-License-Identifier: MIT */
/*
 * fuzz_user_hook - three paths, a line each, as `install` may be told them: a shell
 * reads them as they are.
 */
#include "fuzz.h"

#include "patchers/base/buf.h"
#include "patchers/base/cleanup.h"
#include "patchers/user_hook.h"

/* One word of a shell: quoted runs, and "\'" between them (POSIX, 2.2). */
static struct span take_word(struct span text, struct buf *out)
{
	bool quoted = false;
	size_t i = 0;

	for (; i < text.len; i++) {
		char c = text.data[i];

		if (c == '\'')
			quoted = !quoted;
		else if (quoted)
			buf_add_char(out, c);
		else if (c == '\\' && i + 1 < text.len)
			buf_add_char(out, text.data[++i]);
		else
			break;
	}
	fuzz_assert(!quoted);
	return span_make(text.data + i, text.len - i);
}

/* After `before` stands the path, whatever is in it, and then `after`. */
static struct span expect_word(struct span text, const char *before, const char *path,
			       const char *after)
{
	cleanup_buf struct buf word = BUF_INIT;

	fuzz_assert(span_starts(text, before));
	text = take_word(span_make(text.data + strlen(before), text.len - strlen(before)), &word);
	fuzz_assert(span_is(buf_span(&word), path));
	fuzz_assert(span_starts(text, after));
	return span_make(text.data + strlen(after), text.len - strlen(after));
}

static void check(const struct user_hook *hook, const char *folder)
{
	cleanup_buf struct buf out = BUF_INIT;
	struct span text;
	const char *at;

	fuzz_assert(user_hook_render(hook, &out, NULL) == 0);
	text = buf_span(&out);
	fuzz_assert(user_hook_is_ours(text));
	at = memmem(text.data, text.len, "\nfolder=", 8);
	fuzz_assert(at != NULL);
	text = expect_word(span_between(at + 1, span_end(text)), "folder=", folder, "\noptions=(");
	text = expect_word(text, "--config ", hook->config, ")\nown_scripts=(");
	text = expect_word(text, "\"$folder/" USER_HOOK_OWN_NAME "\" ", hook->user_patches, ")\n");
	/* The rest is always the same, and no byte of it comes from a path. */
	fuzz_assert(span_starts(text, "status=0\n"));
}

/* The next line as a path; the caller's. */
static char *take_path(struct span *rest)
{
	return fuzz_text(span_trim(span_take_line(rest), "\n"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span rest = fuzz_input(data, size);
	cleanup_free char *folder = take_path(&rest), *config = take_path(&rest);
	cleanup_free char *patches = take_path(&rest), *cut = NULL;
	const struct user_hook hook = { folder, config, patches };

	if (!folder || !config || !patches || !user_hook_takes_path(folder) ||
	    !user_hook_takes_path(config) || !user_hook_takes_path(patches))
		return 0;
	fuzz_assert(folder[0] == '/' && config[0] == '/' && patches[0] == '/');
	cut = strdup(folder);
	for (size_t n = strlen(folder); cut && n > 0 && cut[n - 1] == '/'; n--)
		cut[n - 1] = '\0';
	if (cut)
		check(&hook, cut);
	return 0;
}
