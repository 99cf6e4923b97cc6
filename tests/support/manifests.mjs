// manifests.mjs FILE - the YAML documents of a file as JSON, and what is wrong with them by
// the types of the public Kubernetes client: unknown fields, wrong types, empty values.
import { readFileSync } from 'node:fs';
import yaml from 'js-yaml';
import * as k8s from '@kubernetes/client-node';

// The operator's own kind, which the client does not have: the fields we may use.
const SERVICE_MONITOR = {
  apiVersion: 'string', kind: 'string', metadata: 'V1ObjectMeta',
  spec: {
    jobLabel: 'string', selector: 'V1LabelSelector',
    endpoints: [{ port: 'string', path: 'string', interval: 'string', scrapeTimeout: 'string' }],
  },
};

const problems = [];

function wrong(at, what) {
  problems.push(`${at}: ${what}`);
}

function kindOf(value) {
  if (value === null) return 'empty';
  return Array.isArray(value) ? 'list' : typeof value;
}

function checkFields(value, types, at) {
  if (kindOf(value) !== 'object') return wrong(at, `must be an object, is ${kindOf(value)}`);
  for (const [name, inner] of Object.entries(value)) {
    if (!(name in types)) wrong(`${at}.${name}`, 'unknown field');
    else check(inner, types[name], `${at}.${name}`);
  }
}

// type: a name of the client's, or a list of one or an object of such, written out.
function check(value, type, at) {
  if (Array.isArray(type)) type = { list: type[0] };
  if (typeof type === 'object') {
    if (!('list' in type)) return checkFields(value, type, at);
    if (kindOf(value) !== 'list') return wrong(at, `must be a list, is ${kindOf(value)}`);
    return value.forEach((item, i) => check(item, type.list, `${at}[${i}]`));
  }
  const list = /^(?:Array|Set)<(.*)>$/.exec(type);
  if (list) return check(value, [list[1]], at);
  const map = /^\{ \[key: string\]: (.*); \}$/.exec(type);
  if (map) {
    if (kindOf(value) !== 'object') return wrong(at, `must be a map, is ${kindOf(value)}`);
    return Object.entries(value).forEach(([key, v]) => check(v, map[1], `${at}.${key}`));
  }
  if (type === 'IntOrString') {
    if (!['number', 'string'].includes(typeof value)) wrong(at, 'must be a number or a string');
  } else if (['string', 'number', 'boolean'].includes(type)) {
    if (typeof value !== type) wrong(at, `must be a ${type}, is ${kindOf(value)}`);
  } else if (k8s[type]?.getAttributeTypeMap) {
    checkFields(value, Object.fromEntries(
      k8s[type].getAttributeTypeMap().map((a) => [a.baseName, a.type])), at);
  } else {
    wrong(at, `has the type ${type}, which is not understood here`);
  }
}

const documents = yaml.loadAll(readFileSync(process.argv[2], 'utf8')).filter((d) => d);
for (const d of documents) {
  const [version, group] = String(d.apiVersion).split('/').reverse();
  const type = version[0].toUpperCase() + version.slice(1) + d.kind;
  if (group === 'monitoring.coreos.com') check(d, SERVICE_MONITOR, d.kind);
  else if (k8s[type]) check(d, type, d.kind);
  else wrong(d.kind, `no such kind in ${d.apiVersion}`);
}
console.log(JSON.stringify({ documents, problems }));
