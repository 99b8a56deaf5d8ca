#!/usr/bin/env python3
"""Turns message definitions (src/protocol/messages/*.msg) into C++ codecs.

    generate_protocol.py --output DIR FILE.msg...          one FILE.h and FILE.cc per definition
    generate_protocol.py --output DIR --index FILE.msg...  index.h: all headers and their lists

A definition is a list of lines; what follows a '#' is a comment.

    api 0 Produce          an API: its key and name; `data NAME` is a structure that is no API
    versions 3-12          the versions we speak
    flexible 9+            from here on compact lengths and tagged fields; `never`
    request                then its fields; `response` likewise (`data` for a structure)
      FIELD TYPE [VERSIONS] [tag N] [= DEFAULT] [REPEATS]

FIELD is Kafka's name in snake_case. Fields stand in wire order; a tagged field stands anywhere.
TYPE is one of
    bool int8 int16 int32 int64 uint16 float64 uuid string bytes
    error                  an int16 that is a protocol error code
    records                bytes that hold record batches
    Name                   a structure: its fields follow, indented by two more
    []TYPE                 an array; a structure already defined in the same message needs no body
and may end in '?' (may be null in every version of the field) or '?7+' (in these versions).
VERSIONS is `3`, `3-7` or `3+`; without it the field exists wherever its parent does.
DEFAULT is the value of the field in versions that lack it, and of a fresh structure: 0, false,
empty, or null for a field that may be null in all its versions, unless said otherwise.
REPEATS says what it means that elements of an array name the same thing again. Each array of a
request says it, so that no handler does the work of one thing many times:
    once KEY...     nonsense: the first of them stays, with `is_repeated` set, to be refused
    merged KEY...   one thing: their arrays are joined, of their other fields the last counts
    merged          the same of plain values: the first of them stays
    repeats         elements name nothing, or nothing is done for them
where the KEYs are the fields that name an element; A|B is A if it is not null, else B.

In C++ a message is a plain struct with the structures of its definition nested in it. Bytes and
records are views into the decoded buffer. A field set by the caller but unknown to the version
that is encoded is left out without a word, as Kafka does for fields that may be ignored.
"""

import argparse
import pathlib
import re
import sys

VERSION_LIMIT = 32767
# type: (C++ type, codec's suffix, fewest bytes on the wire, default)
PRIMITIVES = {
    "bool": ("bool", "bool", 1, "false"),
    "int8": ("std::int8_t", "int8", 1, "0"),
    "int16": ("std::int16_t", "int16", 2, "0"),
    "int32": ("std::int32_t", "int32", 4, "0"),
    "int64": ("std::int64_t", "int64", 8, "0"),
    "uint16": ("std::uint16_t", "uint16", 2, "0"),
    "float64": ("double", "float64", 8, "0"),
    "uuid": ("TopicId", "uuid", 16, None),
    "error": ("ErrorCode", "error", 2, "ErrorCode::kNone"),
    "string": ("std::string", "string", 1, None),
    "bytes": ("ByteView", "bytes", 1, None),
    "records": ("ByteView", "bytes", 1, None),
}
VARIABLE = {"string", "bytes", "records"}
RESERVED_STRUCTURES = {"Result", "Status", "Response", "ErrorCode", "ApiKey", "ByteView", "TopicId"}


class DefinitionError(Exception):
    pass


class Versions:
    """A closed range of versions."""

    def __init__(self, first, last):
        self.first, self.last = first, last

    @staticmethod
    def parse(text):
        match = re.fullmatch(r"(\d+)(?:-(\d+)|(\+))?", text)
        if not match:
            raise DefinitionError(f"'{text}' is no version range; write 3, 3-7 or 3+")
        first = int(match[1])
        last = VERSION_LIMIT if match[3] else int(match[2] or first)
        if last < first:
            raise DefinitionError(f"version range '{text}' is empty")
        return Versions(first, last)

    def within(self, outer):
        return Versions(max(self.first, outer.first), min(self.last, outer.last))

    def covers(self, other):
        return self.first <= other.first and other.last <= self.last

    def same(self, other):
        return (self.first, self.last) == (other.first, other.last)

    def empty(self):
        return self.last < self.first

    def condition(self, known):
        """A C++ expression for `version` in this range, if it is in `known`; or true or false."""
        if self.within(known).empty():
            return "false"
        low, high = self.first > known.first, self.last < known.last
        if low and high:
            if self.first == self.last:
                return f"version == {self.first}"
            return f"version >= {self.first} && version <= {self.last}"
        if low:
            return f"version >= {self.first}"
        if high:
            return f"version <= {self.last}"
        return "true"


class Field:
    def __init__(self, name, is_array, element, nullable, versions, tag, default):
        self.name, self.is_array, self.element = name, is_array, element
        self.nullable, self.versions, self.tag, self.default = nullable, versions, tag, default
        self.repeats, self.keys = None, []

    @property
    def is_structure(self):
        return self.element not in PRIMITIVES

    @property
    def starts_null(self):
        """A field that may always be null starts so; one that may sometimes be, starts empty."""
        if self.default is not None:
            return self.default == "null"
        return self.nullable is not None and self.nullable.covers(self.versions)

    def key_fields(self):
        return [name for key in self.keys for name in key.split("|")]

    def element_type(self):
        return self.element if self.is_structure else PRIMITIVES[self.element][0]

    def value_type(self):
        return f"std::vector<{self.element_type()}>" if self.is_array else self.element_type()

    def cpp_type(self):
        return f"std::optional<{self.value_type()}>" if self.nullable else self.value_type()

    def default_expression(self):
        """What stands after '=' in the declaration; None for a default-constructed value."""
        if self.nullable:
            if self.starts_null:
                return None
            return f"{self.value_type()}{{}}"
        if self.is_array or self.is_structure:
            return None
        if self.default is None:
            return PRIMITIVES[self.element][3]
        if self.element == "string":
            return f'"{self.default}"'
        if self.default == "-2147483648":
            return "std::numeric_limits<std::int32_t>::min()"
        return self.default

    def differs_from_default(self, value):
        """A C++ condition: the tagged field has to be written."""
        if self.nullable:
            return f"{value}.has_value()" if self.starts_null else f"!({value} && {value}->empty())"
        if self.is_array or self.element in VARIABLE:
            return f"!{value}.empty()"
        if self.is_structure:
            return f"!({value} == {self.element}{{}})"
        if self.element == "bool":
            return value if self.default_expression() == "false" else f"!{value}"
        if self.element == "uuid":
            return f"!{value}.is_zero()"
        return f"{value} != {self.default_expression()}"


class Structure:
    def __init__(self, name, versions):
        self.name, self.versions, self.fields = name, versions, []
        self.is_once = False  # the element of an array in which it stands once

    def wire_fields(self):
        return [field for field in self.fields if field.tag is None]

    def tagged_fields(self):
        tagged = [field for field in self.fields if field.tag is not None]
        return sorted(tagged, key=lambda field: field.tag)


class Message:
    """One request, response or data structure; `structures` are inner first, the message last."""

    def __init__(self, definition, name, role):
        self.definition, self.name, self.role = definition, name, role
        self.structures = []

    def structure(self, name):
        return next((s for s in self.structures if s.name == name), None)


class Definition:
    def __init__(self, path):
        self.path = path
        self.key = None
        self.name = None
        self.versions = None
        self.flexible_from = VERSION_LIMIT
        self.messages = []


# ---------------------------------------------------------------------------------------- parsing


def parse_definition(path):
    definition = Definition(path)
    lines = []
    for number, raw in enumerate(path.read_text().splitlines(), 1):
        text = raw.split("#", 1)[0].rstrip()
        if text.strip():
            lines.append((number, len(text) - len(text.lstrip()), text.split()))
    position = 0
    while position < len(lines):
        number, indent, words = lines[position]
        position += 1
        try:
            if indent != 0:
                raise DefinitionError("a field outside of request, response or data")
            if words[0] == "api" and len(words) == 3:
                definition.key, definition.name = int(words[1]), words[2]
            elif words[0] == "data" and len(words) == 2:
                definition.name = words[1]
            elif words[0] == "versions":
                definition.versions = Versions.parse(words[1])
            elif words[0] == "flexible":
                if words[1] != "never":
                    definition.flexible_from = Versions.parse(words[1]).first
            elif words[0] in ("request", "response", "data") and len(words) == 1:
                suffix = "" if words[0] == "data" else words[0].capitalize()
                message = Message(definition, definition.name + suffix, words[0])
                top = Structure(message.name, definition.versions)
                position = parse_fields(lines, position, 2, message, top)
                message.structures.append(top)
                definition.messages.append(message)
            else:
                raise DefinitionError(f"'{' '.join(words)}' is not understood here")
        except DefinitionError as error:
            sys.exit(f"{path}:{number}: {error}")
    return definition


def parse_fields(lines, position, depth, message, structure):
    while position < len(lines) and lines[position][1] >= depth:
        number, indent, words = lines[position]
        try:
            if indent != depth:
                raise DefinitionError(f"indented by {indent}, expected {depth}")
            field = parse_field(words, structure.versions, message.definition)
            structure.fields.append(field)
            position += 1
            has_body = position < len(lines) and lines[position][1] > depth
            if field.is_structure:
                known = message.structure(field.element)
                if has_body and known:
                    raise DefinitionError(f"structure {field.element} is defined twice")
                if not has_body and not known:
                    raise DefinitionError(f"structure {field.element} has no fields")
                if has_body:
                    inner = Structure(field.element, field.versions)
                    position = parse_fields(lines, position, depth + 2, message, inner)
                    message.structures.append(inner)
                else:
                    widen(known, message)
            check_repeats(field, message)
        except DefinitionError as error:
            sys.exit(f"{message.definition.path}:{number}: {error}")
    return position


def widen(structure, message):
    """For a structure used in several places: it exists in every version of the API, and so does
    each field of it that named no versions of its own."""
    old, new = structure.versions, message.definition.versions
    structure.versions = new
    for field in structure.fields:
        if field.nullable and field.nullable.same(old):
            field.nullable = new
        if field.versions.same(old):
            field.versions = new
            if field.is_structure:
                widen(message.structure(field.element), message)


def check_repeats(field, message):
    if field.is_array and message.role == "request" and field.repeats is None:
        raise DefinitionError(f"{field.name}: say what repeated elements mean: once, merged or "
                              "repeats")
    if field.repeats is None:
        return
    if not field.is_array or message.role != "request":
        raise DefinitionError(f"{field.name} is not an array of a request, and nothing repeats")
    if field.repeats == "once" and not field.is_structure:
        raise DefinitionError(f"{field.name}: plain values cannot say that they are repeated; "
                              "write merged")
    if (field.is_structure and field.repeats != "repeats") != bool(field.keys) or \
            len(field.keys) > 1 and any("|" in key for key in field.keys):
        raise DefinitionError(f"{field.name}: {field.repeats} by which fields?")
    if field.is_structure:
        structure = message.structure(field.element)
        structure.is_once |= field.repeats == "once"
        known = {inner.name for inner in structure.fields if not inner.is_array}
        if unknown := [key for key in field.key_fields() if key not in known]:
            raise DefinitionError(f"{field.element} has no field {unknown[0]} to be named by")


def parse_field(words, outer, definition):
    if len(words) < 2:
        raise DefinitionError("a field needs a name and a type")
    name, rest = words[0], words[2:]
    match = re.fullmatch(r"(\[\])?([A-Za-z0-9]+)(\?)?(\d+(?:\+|-\d+)?)?", words[1])
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or not match or (match[4] and not match[3]):
        raise DefinitionError(f"'{name} {words[1]}' is no field")
    element = match[2]
    if element not in PRIMITIVES and not element[0].isupper():
        raise DefinitionError(f"unknown type {element}")
    if element in RESERVED_STRUCTURES:
        raise DefinitionError(f"the name {element} is taken")
    versions, tag, default = outer, None, None
    if rest and rest[0][0].isdigit():
        versions = Versions.parse(rest.pop(0)).within(outer)
        if versions.empty():
            raise DefinitionError(f"{name} exists in no version")
    if rest and rest[0] == "tag":
        tag = int(rest[1])
        rest = rest[2:]
        if versions.first < definition.flexible_from:
            raise DefinitionError(f"{name} is tagged in a version that is not flexible")
    if rest and rest[0] == "=":
        default = rest[1]
        rest = rest[2:]
    repeats, keys = None, []
    if rest and rest[0] in ("once", "merged", "repeats"):
        repeats, keys, rest = rest[0], rest[1:], []
    if rest:
        raise DefinitionError(f"'{' '.join(rest)}' is too much")
    nullable = None
    if match[3]:
        nullable = Versions.parse(match[4]).within(versions) if match[4] else versions
        if element in PRIMITIVES and element not in VARIABLE and not match[1]:
            raise DefinitionError(f"a single {element} cannot be null")
        if element not in PRIMITIVES and not match[1]:
            raise DefinitionError("a single structure that may be null is not supported")
    if default == "null" and not nullable:
        raise DefinitionError(f"{name} is null by default but may not be null")
    field = Field(name, bool(match[1]), element, nullable, versions, tag, default)
    field.repeats, field.keys = repeats, keys
    return field


# ------------------------------------------------------------------------------------- generating


def fewest_bytes(message, element):
    """A lower bound, over all versions, of the bytes that one element takes; at least 1."""
    if element in PRIMITIVES:
        return PRIMITIVES[element][2]
    structure = message.structure(element)
    total = 0
    for field in structure.wire_fields():
        if field.versions.covers(structure.versions):
            total += 1 if field.is_array else fewest_bytes(message, field.element)
    return max(total, 1)


def holds_bytes(structure):
    return any(f.element in ("bytes", "records") for f in structure.fields)


def under(condition, statements, indent="  "):
    """The statements, inside an `if` where the condition is not constant."""
    if condition == "false":
        return []
    if condition == "true":
        return [indent + s for s in statements]
    return [f"{indent}if ({condition}) {{", *[indent + "  " + s for s in statements], indent + "}"]


def read_suffix(field, message):
    """Which of the codec's functions reads one element."""
    if field.element == "string" and message.role == "response":
        return "answered_string"
    return PRIMITIVES[field.element][1]


def read_call(field, message, target, reader):
    nullable = ""
    if field.nullable:
        nullable = f"{field.nullable.condition(field.versions)}, "
    if field.is_array:
        least = fewest_bytes(message, field.element)
        if field.is_structure:
            body = "read_fields(source, version, element);"
        elif field.element in VARIABLE:
            body = f"codec::read_{read_suffix(field, message)}(source, flexible, element);"
        else:
            body = f"codec::read_{PRIMITIVES[field.element][1]}(source, element);"
        return [f"codec::read_array({reader}, flexible, {nullable}{least}, {target},",
                f"                  [&](WireReader& source, auto& element) {{ {body} }});"]
    if field.is_structure:
        return [f"read_fields({reader}, version, {target});"]
    suffix = read_suffix(field, message)
    if field.element in VARIABLE:
        return [f"codec::read_{suffix}({reader}, flexible, {nullable}{target});"]
    return [f"codec::read_{suffix}({reader}, {target});"]


def write_call(field, source, writer):
    nullable = ""
    if field.nullable:
        nullable = f"{field.nullable.condition(field.versions)}, "
    if field.is_array:
        if field.is_structure:
            body = "write_fields(target, version, element);"
        elif field.element in VARIABLE:
            body = f"codec::write_{PRIMITIVES[field.element][1]}(target, flexible, element);"
        else:
            body = f"codec::write_{PRIMITIVES[field.element][1]}(target, element);"
        return [f"codec::write_array({writer}, flexible, {nullable}{source},",
                f"                   [&](WireWriter& target, const auto& element) {{ {body} }});"]
    if field.is_structure:
        return [f"write_fields({writer}, version, {source});"]
    suffix = PRIMITIVES[field.element][1]
    if field.name.endswith("error_message"):
        suffix = "message"
    if field.element in VARIABLE:
        return [f"codec::write_{suffix}({writer}, flexible, {nullable}{source});"]
    return [f"codec::write_{suffix}({writer}, {source});"]


def generate_read(message, structure, cpp_name):
    definition = message.definition
    flexible = Versions(definition.flexible_from, VERSION_LIMIT)
    lines = [f"void read_fields(WireReader& reader, [[maybe_unused]] std::int16_t version,",
             f"                 [[maybe_unused]] {cpp_name}& value) {{",
             f"  [[maybe_unused]] const bool flexible = "
             f"{flexible.condition(structure.versions)};"]
    for field in structure.wire_fields():
        lines += under(field.versions.condition(structure.versions),
                       read_call(field, message, f"value.{field.name}", "reader"))
    condition = flexible.condition(structure.versions)
    if condition == "false":
        lines.append("  static_cast<void>(reader);")
    tagged = structure.tagged_fields()
    if not tagged:
        lines += under(condition, ["codec::skip_tagged_fields(reader);"])
    else:
        body = ["codec::read_tagged_fields(reader, [&](std::uint64_t tag, WireReader& field) {",
                "  switch (tag) {"]
        for field in tagged:
            body.append(f"    case {field.tag}:")
            body += under(field.versions.condition(structure.versions),
                          read_call(field, message, f"value.{field.name}", "field"), "      ")
            body.append("      break;")
        body += ["    default:", "      break;", "  }", "});"]
        lines += under(condition, body)
    return lines + ["}", ""]


def generate_write(message, structure, cpp_name):
    definition = message.definition
    flexible = Versions(definition.flexible_from, VERSION_LIMIT)
    lines = [f"void write_fields(WireWriter& writer, [[maybe_unused]] std::int16_t version,",
             f"                  [[maybe_unused]] const {cpp_name}& value) {{",
             f"  [[maybe_unused]] const bool flexible = "
             f"{flexible.condition(structure.versions)};"]
    for field in structure.wire_fields():
        lines += under(field.versions.condition(structure.versions),
                       write_call(field, f"value.{field.name}", "writer"))
    condition = flexible.condition(structure.versions)
    if condition == "false":
        lines.append("  static_cast<void>(writer);")
    tagged = structure.tagged_fields()
    if not tagged:
        lines += under(condition, ["writer.write_unsigned_varint(0);"])
    else:
        body = ["std::uint64_t tagged_count = 0;"]
        present = {}
        for field in tagged:
            differs = field.differs_from_default(f"value.{field.name}")
            if field.is_structure and not field.is_array:
                differs = differs.replace(field.element, f"{message.name}::{field.element}")
            exists = field.versions.condition(structure.versions)
            # The tagged section exists in flexible versions only.
            if field.versions.first <= definition.flexible_from and "<" not in exists:
                exists = "true"
            present[field.name] = differs if exists == "true" else f"{exists} && {differs}"
            body += under(present[field.name], ["++tagged_count;"], "")
        body.append("writer.write_unsigned_varint(tagged_count);")
        for field in tagged:
            call = write_call(field, f"value.{field.name}", "field")
            body += under(present[field.name],
                          [f"codec::write_tagged_field(writer, {field.tag}, "
                           "[&](WireWriter& field) {",
                           *["  " + c for c in call], "});"], "")
        lines += under(condition, body)
    return lines + ["}", ""]


def has_arrays(message, structure):
    return any(field.is_array and field.repeats != "repeats" or
               field.is_structure and has_arrays(message, message.structure(field.element))
               for field in structure.fields)


def key_expression(field):
    """What `element` of the array is known by."""
    if not field.is_structure:
        return "(element)"
    one = [f"element.{key}" for key in field.keys]
    one = [f"codec::first_of({', element.'.join(key.split('|'))})" if "|" in key else key
           for key in one]
    if len(one) == 1 and "first_of" in one[0]:
        return one[0]
    return f"std::tie({', '.join(one)})"


def generate_absorb(field, element):
    """Statements of a function that takes what `again` says to `first`, of the same name."""
    if field.repeats == "once":
        return ["first.is_repeated = true;"]
    lines = []
    for inner in element.fields:
        if inner.is_array:
            lines.append(f"codec::join(first.{inner.name}, std::move(again.{inner.name}));")
        elif inner.name not in field.key_fields():
            lines.append(f"first.{inner.name} = std::move(again.{inner.name});")
    return lines


def generate_collapse(message, structure, cpp_name):
    """What makes each element of the structure's arrays stand once, from the outside in."""
    lines = [f"void collapse_fields({cpp_name}& value) {{"]
    for field in structure.fields:
        element = message.structure(field.element) if field.is_structure else None
        into = element is not None and has_arrays(message, element)
        if field.is_structure and not field.is_array and into:
            lines.append(f"  collapse_fields(value.{field.name});")
        if not field.is_array:
            continue
        if field.repeats != "repeats":
            key = key_expression(field)
            absorb = generate_absorb(field, element) if element else []
            taken = "auto& first, [[maybe_unused]] auto& again" if absorb else "auto&, auto&"
            lines += [f"  codec::collapse_repeats(value.{field.name},",
                      f"      [](const auto& element) -> decltype(auto) {{ return {key}; }},",
                      f"      []({taken}) {{ {' '.join(absorb)} }});"]
        if into:
            lines.append(f"  codec::for_each_element(value.{field.name}, "
                         "[](auto& element) { collapse_fields(element); });")
    return lines + ["}", ""]


def repeats_of(field):
    """The last argument of a FieldInfo, where it is not the default."""
    word = {None: None, "once": "kRefused", "merged": "kMerged", "repeats": "kKept"}[field.repeats]
    return f", Repeats::{word}" if word else ""


def generate_visit(structure, indent):
    lines = [f"{indent}template <typename Self, typename Visitor>",
             f"{indent}static void for_each_field([[maybe_unused]] Self& self,",
             f"{indent}                           [[maybe_unused]] std::int16_t version,",
             f"{indent}                           [[maybe_unused]] Visitor&& visitor) {{"]
    for field in structure.fields:
        may_be_null = "false"
        if field.nullable:
            may_be_null = field.nullable.condition(field.versions)
        lines += under(field.versions.condition(structure.versions),
                       [f'visitor(FieldInfo{{"{field.name}", {may_be_null}{repeats_of(field)}}}, '
                        f'self.{field.name});'],
                       indent + "  ")
    return lines + [f"{indent}}}"]


def generate_members(message, structure, indent):
    lines = []
    for field in structure.fields:
        default = field.default_expression()
        initial = f" = {default}" if default else ("{}" if field.nullable is None else "")
        if default is None and (field.is_array or field.is_structure or field.element in VARIABLE
                                or field.element == "uuid" or field.nullable):
            initial = ""
        lines.append(f"{indent}{field.cpp_type()} {field.name}{initial};")
    if structure.is_once:
        lines += [f"{indent}/// Not of the wire: another named the same; set by "
                  "collapse_repeats().",
                  f"{indent}bool is_repeated = false;"]
    if structure.fields:
        lines.append("")
    lines += generate_visit(structure, indent)
    if holds_bytes(structure):
        lines.append(f"{indent}bool operator==(const {structure.name}& other) const;")
    else:
        lines.append(f"{indent}bool operator==(const {structure.name}& other) const = default;")
    return lines


def generate_equality(structure, cpp_name):
    terms = []
    for field in structure.fields:
        if field.element in ("bytes", "records"):
            terms.append(f"codec::same_bytes({field.name}, other.{field.name})")
        else:
            terms.append(f"{field.name} == other.{field.name}")
    joined = " &&\n         ".join(terms)
    return [f"bool {cpp_name}::operator==(const {structure.name}& other) const {{",
            f"  return {joined};", "}", ""]


def is_named(definition):
    """Whether api_key.h has a name for the key; one that no code speaks of needs none."""
    names = definition.path.parent.parent / "api_key.h"
    return f" k{definition.name} = " in names.read_text(encoding="utf-8")


def api_key(definition):
    return f"ApiKey::k{definition.name}" if is_named(definition) else f"ApiKey{{{definition.key}}}"


def generate_message_struct(message):
    definition = message.definition
    lines = [f"struct {message.name} {{"]
    if definition.key is not None:
        lines.append(f"  static constexpr ApiKey kApiKey = {api_key(definition)};")
    lines += [f'  static constexpr std::string_view kName = "{message.name}";',
              f"  static constexpr std::int16_t kVersionMin = {definition.versions.first};",
              f"  static constexpr std::int16_t kVersionMax = {definition.versions.last};",
              f"  static constexpr std::int16_t kFlexibleFrom = {definition.flexible_from};"]
    if message.role == "request":
        lines.append(f"  using Response = {definition.name}Response;")
    lines.append("")
    for structure in message.structures[:-1]:
        lines.append(f"  struct {structure.name} {{")
        lines += generate_members(message, structure, "    ")
        lines += ["  };", ""]
    lines += ["  /// Reads one message; whatever follows it is left in the reader. Views point",
              "  /// into the reader's bytes. kUnsupported for a version not ours, else kCorrupt.",
              f"  static Result<{message.name}> decode(WireReader& reader, std::int16_t version);",
              f"  void encode(WireWriter& writer, std::int16_t version) const;"]
    if message.role == "request":
        lines += ["  /// Makes one of the elements that name the same thing, in every array.",
                  "  void collapse_repeats();"]
    lines.append("")
    lines += generate_members(message, message.structures[-1], "  ")
    return lines + ["};", ""]


def generate_header(definition):
    source = definition.path.name
    lines = [f"// Generated from {source}; do not edit.", "#pragma once", "",
             "#include <cstdint>", "#include <limits>", "#include <optional>", "#include <string>",
             "#include <string_view>", "#include <vector>", "",
             '#include "base/bytes.h"', '#include "base/ids.h"', '#include "base/result.h"',
             '#include "base/wire.h"', '#include "protocol/api_key.h"',
             '#include "protocol/error_code.h"', '#include "protocol/field_info.h"', "",
             "namespace onceflow::protocol {", ""]
    if definition.key is not None:
        if is_named(definition):
            lines += [f"static_assert(static_cast<std::int16_t>(ApiKey::k{definition.name}) == "
                      f"{definition.key});", ""]
        lines += [f"struct {definition.name}Response;", ""]
    for message in definition.messages:
        lines += generate_message_struct(message)
    return lines + ["}  // namespace onceflow::protocol"]


def generate_source(definition):
    stem = definition.path.stem
    lines = [f"// Generated from {definition.path.name}; do not edit.",
             f'#include "protocol/messages/{stem}.h"', "", "#include <tuple>", "",
             '#include "protocol/codec.h"', '#include "protocol/repeats.h"', "",
             "namespace onceflow::protocol {", "namespace {", ""]
    for message in definition.messages:
        for structure in message.structures:
            nested = structure is not message.structures[-1]
            cpp_name = f"{message.name}::{structure.name}" if nested else message.name
            lines += generate_read(message, structure, cpp_name)
            lines += generate_write(message, structure, cpp_name)
            if message.role == "request" and has_arrays(message, structure):
                lines += generate_collapse(message, structure, cpp_name)
    lines += ["}  // namespace", ""]
    for message in definition.messages:
        for structure in message.structures:
            if holds_bytes(structure):
                nested = structure is not message.structures[-1]
                cpp_name = f"{message.name}::{structure.name}" if nested else message.name
                lines += generate_equality(structure, cpp_name)
        lines += [
            f"Result<{message.name}> {message.name}::decode(WireReader& reader,",
            f"    std::int16_t version) {{",
            f"  if (version < kVersionMin || version > kVersionMax) {{",
            f"    return codec::unsupported_version(kName, version);",
            f"  }}",
            f"  {message.name} value;",
            f"  read_fields(reader, version, value);",
            f"  if (!reader.ok()) {{",
            f"    return codec::malformed(kName, version);",
            f"  }}",
            f"  return value;",
            f"}}", "",
            f"void {message.name}::encode(WireWriter& writer, std::int16_t version) const {{",
            f"  CHECK(version >= kVersionMin && version <= kVersionMax);",
            f"  write_fields(writer, version, *this);",
            f"}}", ""]
        if message.role == "request":
            lines += [f"void {message.name}::collapse_repeats() {{"]
            if has_arrays(message, message.structures[-1]):
                lines.append("  collapse_fields(*this);")
            lines += ["}", ""]
    return lines + ["}  // namespace onceflow::protocol"]


def generate_index(definitions):
    apis = sorted((d for d in definitions if d.key is not None), key=lambda d: d.key)
    others = [d for d in definitions if d.key is None]
    messages = [m.name for d in apis + others for m in d.messages]
    lines = ["// Generated from all definitions; do not edit.", "#pragma once", ""]
    lines += [f'#include "protocol/messages/{d.path.stem}.h"' for d in definitions]
    lines += ["", "namespace onceflow::protocol {", "",
              "/// Every request, in order of the key: List<ProduceRequest, FetchRequest, ...>.",
              "template <template <typename...> typename List>",
              "using ForAllRequests = List<",
              "    " + ",\n    ".join(f"{d.name}Request" for d in apis) + ">;", "",
              "/// Every request, response and data structure.",
              "template <template <typename...> typename List>",
              "using ForAllMessages = List<",
              "    " + ",\n    ".join(messages) + ">;", "",
              "}  // namespace onceflow::protocol"]
    return lines


def write_lines(path, lines):
    path.write_text("\n".join(line.rstrip() for line in lines) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", required=True, type=pathlib.Path)
    parser.add_argument("--index", action="store_true")
    parser.add_argument("definitions", nargs="+", type=pathlib.Path)
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    definitions = [parse_definition(path) for path in sorted(arguments.definitions)]
    if arguments.index:
        write_lines(arguments.output / "index.h", generate_index(definitions))
        return
    for definition in definitions:
        write_lines(arguments.output / f"{definition.path.stem}.h", generate_header(definition))
        write_lines(arguments.output / f"{definition.path.stem}.cc", generate_source(definition))


if __name__ == "__main__":
    main()
