# SPDX-License-Identifier: MIT
"""interfaces - JSON schemas from the TypeScript declarations of Kubernetes models.

The packages below @kubernetes-models/ hold every custom resource as an interface, and its checks only as
compiled code. Of TypeScript this reads what such declarations are made of: interfaces that extend others,
names for types, literals, arrays, maps. Everything else is refused.

What comes out is strict: an object has the fields that its interface names and no others.
"""
import posixpath
import re

TOKEN = re.compile(r'\s+|/\*.*?\*/|//[^\n]*|("(?:[^"\\]|\\.)*"|[A-Za-z_$][\w$]*|-?\d+(?:\.\d+)?|[{}\[\]()<>;:?,|&=*.])',
                   re.DOTALL)
PLAIN = {"string": {"type": "string"}, "boolean": {"type": "boolean"}, "number": {"type": "number"},
         "any": {}, "unknown": {}, "object": {"type": "object"}, "null": {"type": "null"}}


class NotUnderstood(Exception):
    """A declaration that is none of those that are known here."""


def tokens_of(text):
    position, out = 0, []
    while position < len(text):
        match = TOKEN.match(text, position)
        if not match:
            raise NotUnderstood(f"at {text[position:position + 40]!r}")
        if match[1]:
            out.append(match[1])
        position = match.end()
    return out


class Declarations:
    """One file: which name comes from which path, and the types that it exports."""

    def __init__(self, text):
        self._tokens = tokens_of(text)
        self._at = 0
        self.imports = {}
        self.types = {}
        while self._at < len(self._tokens):
            self._statement()

    def _next(self, *wanted):
        token = self._tokens[self._at]
        if wanted and token not in wanted:
            raise NotUnderstood(f"{token!r} where {wanted} was wanted")
        self._at += 1
        return token

    def _peek(self, offset=0):
        position = self._at + offset
        return self._tokens[position] if position < len(self._tokens) else None

    def _skip(self, token):
        if self._peek() == token:
            self._at += 1
            return True
        return False

    def _statement(self):
        if self._peek() == "import":
            self._import()
        elif self._peek() == "export" and self._peek(1) == "interface":
            self._at += 2
            self._interface()
        elif self._peek() == "export" and self._peek(1) == "type" and self._peek(2) != "{":
            self._at += 2
            name = self._next()
            self._next("=")
            self.types[name] = self._type()
            self._skip(";")
        else:
            self._pass_over()

    def _import(self):
        self._next("import")
        names = []
        while self._peek() != "from":
            names.append(self._next())
        self._next("from")
        path = self._next().strip('"')
        self._skip(";")
        for name in names:
            if name not in "{},":
                self.imports[name] = path

    def _interface(self):
        name, parents = self._next(), []
        if self._skip("extends"):
            parents.append(self._next())
            while self._skip(","):
                parents.append(self._next())
        self.types[name] = ("object", self._members(), parents)

    def _pass_over(self):
        """A class says again what its interface says; re-exports bring nothing new."""
        depth = 0
        while True:
            token = self._next()
            depth += {"{": 1, "}": -1}.get(token, 0)
            if depth == 0 and token in ";}":
                self._skip(";")
                return

    def _members(self):
        self._next("{")
        fields, required, others = {}, [], None
        while not self._skip("}"):
            if self._skip("["):
                self._next()
                self._next(":")
                self._next("string")
                self._next("]")
                self._next(":")
                others = self._type()
            else:
                name = self._next().strip('"')
                if not self._skip("?"):
                    required.append(name)
                self._next(":")
                fields[name] = self._type()
            self._next(";", ",")
        return fields, required, others

    def _type(self):
        self._skip("|")
        choices = [self._refined()]
        while self._skip("|"):
            choices.append(self._refined())
        return choices[0] if len(choices) == 1 else ("choice", choices)

    def _refined(self):
        """`all fields & (these of them | those of them)`: what the first names is what there is."""
        first = self._one()
        while self._skip("&"):
            self._one()
        return first

    def _one(self):
        token = self._peek()
        if token == "{":
            return ("object", self._members(), [])
        self._next()
        if token == "(":
            inner = self._type()
            self._next(")")
            return inner
        if token == "Exclude":  # stands in refinements only, see there
            self._next("<")
            self._type()
            self._next(",")
            self._type()
            self._next(">")
            return ("excluded",)
        if token == "Array":
            self._next("<")
            item = self._type()
            self._next(">")
            return ("array", item)
        if token.startswith('"'):
            return ("literal", token.strip('"'))
        if token[0].isdigit() or token[0] == "-":
            return ("literal", int(token))
        if not re.match(r"[A-Za-z_$]", token) or self._peek() in ("<", "[", "."):
            raise NotUnderstood(f"type {token} {self._peek()}")
        return ("name", token)


class Schemas:
    """Schemas of one package and those it imports from.

    read(path) gives the text of a declaration file, by package and path without its ending; core(path) the
    name of a core definition for an import that is Kubernetes' own, else None.
    """

    def __init__(self, read, core):
        self._read = read
        self._core = core
        self._files = {}

    def of(self, path):
        """The schema of the kind declared in the file of that path, and the core definitions it needs."""
        definitions, needed = {}, set()
        kind = posixpath.basename(path)
        top = self._named(path, f"I{kind}", definitions, needed)
        return {**top, "$defs": definitions}, needed

    def _file(self, path):
        if path not in self._files:
            self._files[path] = Declarations(self._read(path))
        return self._files[path]

    def _target(self, path, name):
        """(file, name there) of what `name` means in the file `path`."""
        declared = self._file(path)
        if name in declared.types:
            return path, name
        if name not in declared.imports:
            raise NotUnderstood(f"{path}: nobody declares {name}")
        wanted = declared.imports[name]
        if wanted.startswith("."):
            wanted = posixpath.normpath(posixpath.join(posixpath.dirname(path), wanted))
        wanted = wanted.removesuffix(".js")
        return wanted, f"I{posixpath.basename(wanted)}"

    def _named(self, path, name, definitions, needed):
        path, name = self._target(path, name)
        core = self._core(path)
        if core is not None:
            if core == "":
                return {}
            needed.add(core)
            return {"$ref": f"#/$defs/{core}"}
        key = f"{path}/{name}".replace("/", ".").replace("@", "")
        if key not in definitions:
            definitions[key] = {}  # before its fields: a type may hold itself
            definitions[key].update(
                self._schema(path, self._file(path).types[name], definitions, needed))
        return {"$ref": f"#/$defs/{key}"}

    def _schema(self, path, what, definitions, needed):
        if what[0] == "name":
            return dict(PLAIN[what[1]]) if what[1] in PLAIN else \
                self._named(path, what[1], definitions, needed)
        if what[0] == "literal":
            return {"enum": [what[1]]}
        if what[0] == "array":
            return {"type": "array", "items": self._schema(path, what[1], definitions, needed)}
        if what[0] == "choice":
            if all(choice[0] == "literal" for choice in what[1]):
                return {"enum": [choice[1] for choice in what[1]]}
            return {"anyOf": [self._schema(path, c, definitions, needed) for c in what[1]]}
        if what[0] == "excluded":
            raise NotUnderstood(f"{path}: Exclude outside a refinement")
        return self._object(path, what, definitions, needed)

    def _object(self, path, what, definitions, needed):
        properties, required, others = {}, [], None
        for where, (fields, names, rest) in self._with_parents(path, what):
            properties.update({name: self._schema(where, kind, definitions, needed)
                               for name, kind in fields.items()})
            required += [name for name in names if name not in required]
            others = others or (rest and self._schema(where, rest, definitions, needed))
        out = {"type": "object"}
        if properties:
            out["properties"] = properties
        if required:
            out["required"] = required
        if others is not None:
            out["additionalProperties"] = others
        elif properties:  # one without any field stands for "whatever there is"
            out["additionalProperties"] = False
        return out

    def _with_parents(self, path, what):
        for parent in what[2]:
            if parent == "TypeMeta":  # apiVersion and kind, which the interface itself says closer
                continue
            where, name = self._target(path, parent)
            yield from self._with_parents(where, self._file(where).types[name])
        yield path, what[1]
