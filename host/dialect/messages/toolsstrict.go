package messages

const (
	maxStrict      = 1 << 20 // bytes of schemas that are looked at in one request
	maxStrictDepth = 24      // of objects and arrays; OpenAI takes ten levels of objects
)

// isStrict reports whether a schema is one that OpenAI takes as strict: each object in it
// allows no other properties and requires all it has.
// https://platform.openai.com/docs/guides/structured-outputs
func (t *translation) isStrict(schema value) bool {
	t.strict += len(schema)
	if t.strict > maxStrict || get(schema, "type").text() != "object" {
		return false
	}
	// All values that may be schemas, or hold some, one after the other. A map of
	// properties is no schema itself, whatever their names are.
	todo := []node{{v: schema}}
	for len(todo) > 0 {
		n := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if n.depth > maxStrictDepth {
			return false
		}
		c := cursor{b: n.v}
		if n.v.isArray() {
			for c.enter(); c.next(); {
				todo = n.push(todo, c.value(), false)
			}
			continue
		}
		if !n.isMap && !isStrictObject(n.v) {
			return false
		}
		for c.enter(); c.next(); {
			key := string(c.key())
			v := c.value()
			switch {
			case n.isMap:
				todo = n.push(todo, v, false)
			case key == "properties" || key == "$defs" || key == "definitions" || key == "patternProperties":
				todo = n.push(todo, v, true)
			case key == "enum" || key == "const" || key == "default" || key == "examples" || key == "required":
			default:
				todo = n.push(todo, v, false)
			}
		}
	}
	return true
}

// node is a value of a schema.
type node struct {
	v     value
	isMap bool // of names to schemas
	depth int
}

// push adds a value that is inside of the node, if it holds others.
func (n node) push(todo []node, v value, isMap bool) []node {
	if v.isObject() || v.isArray() {
		return append(todo, node{v, isMap, n.depth + 1})
	}
	return todo
}

// isStrictObject reports whether a schema is strict, if it is of an object.
func isStrictObject(schema value) bool {
	properties := get(schema, "properties")
	if properties == nil && get(schema, "type").text() != "object" {
		return true
	}
	others := get(schema, "additionalProperties")
	if len(others) == 0 || others[0] != 'f' {
		return false
	}
	required := map[string]bool{}
	if names := get(schema, "required"); names.isArray() {
		c := cursor{b: names}
		for c.enter(); c.next(); {
			required[c.value().text()] = true
		}
	}
	if !properties.isObject() {
		return properties == nil
	}
	c := cursor{b: properties}
	for c.enter(); c.next(); c.skip() {
		if !required[string(c.key())] {
			return false
		}
	}
	return true
}
