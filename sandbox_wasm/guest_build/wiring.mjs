// Instantiates a transpiled component and writes down which core module's import meets which module's export.
// Called by link.py:  node wiring.mjs FOLDER NAME  →  FOLDER/wiring.json
import fs from "node:fs";
import path from "node:path";

const [folder, name] = process.argv.slice(2);
const component = await import(path.resolve(folder, `${name}.js`));
const owners = new Map(); // exported value → [instance, export name]
const instances = [];

function load(file) {
  const module = new WebAssembly.Module(fs.readFileSync(path.join(folder, file)));
  module.file = file;
  return module;
}

function instantiate(module, imports = {}) {
  const number = instances.length;
  const wires = [];
  for (const [space, values] of Object.entries(imports)) {
    for (const [field, value] of Object.entries(values)) {
      const owner = owners.get(value);
      if (!owner) throw new Error(`${module.file} imports ${space}/${field} from outside the component`);
      wires.push({ module: space, field, instance: owner[0], export: owner[1] });
    }
  }
  const record = { number, file: module.file, wires };
  instances.push(record);
  const instance = new WebAssembly.Instance(module, imports);
  for (const [field, value] of Object.entries(instance.exports)) {
    if (!owners.has(value)) owners.set(value, [number, field]);
  }
  return instance;
}

component.instantiate(load, {}, instantiate);
fs.writeFileSync(path.join(folder, "wiring.json"), JSON.stringify(instances));
