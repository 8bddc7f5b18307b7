# Links the configured files to where docker-mailserver looks for them.  Kubernetes updates a mounted
# folder, never a single mounted file, so the files are mounted as a folder of their own; the links in
# TO follow it.  Runs before each start of docker-mailserver:
#
#   prepare.sh FROM TO [HOOK]
#
# A file of the same name that is there already, made by "setup" perhaps, becomes NAME.kept, and comes back
# once it is no longer configured.  If something put a file in the place of a link meanwhile, as sed -i does,
# both are kept, the older as NAME.kept.~1~.  HOOK becomes user-patches.sh; yours becomes user-patches.own.sh, which HOOK runs.
set -euo pipefail
from=$1 to=$2 hook=${3-}
patches=$to/user-patches.sh
own=$to/user-patches.own.sh

say() {
	printf 'prepare: %s\n' "$*"
}

# What an earlier start made goes, and what it moved comes back.
if [[ -L $patches && $(readlink "$patches") == */postern/user-patches.sh ]]; then
	rm "$patches"
	[[ ! -e $own && ! -L $own ]] || mv "$own" "$patches"
fi
while IFS= read -r -d '' link; do
	rm "$link"
	[[ ! -e $link.kept && ! -L $link.kept ]] || mv "$link.kept" "$link"
done < <(find "$to" -type l -lname "$from/*" -print0)

# Through the links of the mounted folder, but not into the generations behind them.
while IFS= read -r -d '' file; do
	name=${file#./}
	mkdir -p "$(dirname "$to/$name")"
	if [[ -e $to/$name || -L $to/$name ]]; then
		say "$name: there already: kept as $name.kept"
		# What edits the file at every start shall not leave one more copy each time.
		if [[ -f $to/$name && -f $to/$name.kept ]] && cmp -s "$to/$name" "$to/$name.kept"; then
			rm "$to/$name"
		else
			mv -T --backup=numbered "$to/$name" "$to/$name.kept"
		fi
	fi
	ln -s "$from/$name" "$to/$name"
	say "$name: from $from"
done < <(cd "$from" && find -L . -name '..?*' -prune -o -type f -print0)

if [[ -n $hook ]]; then
	if [[ -e $patches ]]; then
		if [[ -e $own ]]; then
			say "$patches and $own are both there: make one of them" >&2
			exit 1
		fi
		mv "$patches" "$own"
	fi
	ln -s "$hook" "$patches"
fi
