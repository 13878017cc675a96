// SPDX-License-Identifier: Apache-2.0
// client.js URL IMAGE PCI_ADDRESS TOKEN_URL TOKEN POOR_TOKEN
//
// Drives the system with its official client, unmodified: every method of the resources that
// the API shares with it. TOKEN_URL is a gateway that asks for tokens; POOR_TOKEN may only
// read instances.
'use strict';

const Hypeman = require('@onkernel/hypeman');

const [baseURL, image, pciAddress, tokenURL, token, poorToken] = process.argv.slice(2);
let requests = 0;
const counting = (...args) => {
	requests++;
	return fetch(...args);
};
const client = new Hypeman({ baseURL, apiKey: 'not asked for', fetch: counting });
let failures = 0;

function check(sentence, good, seen) {
	console.log(`${good ? 'ok' : 'not ok'} - ${sentence}`);
	if (!good) {
		failures++;
		console.log(`    ${typeof seen === 'string' ? seen : JSON.stringify(seen)}`);
	}
}

// What is called is written down, so that nothing can be forgotten.
const called = new Set();

function watch(resource, name) {
	for (const method of Object.getOwnPropertyNames(Object.getPrototypeOf(resource))) {
		if (method === 'constructor')
			continue;
		const original = resource[method];
		resource[method] = function (...args) {
			called.add(`${name}.${method}`);
			return original.apply(this, args);
		};
	}
}

const RESOURCES = {
	health: client.health,
	resources: client.resources,
	instances: client.instances,
	'instances.volumes': client.instances.volumes,
	images: client.images,
	volumes: client.volumes,
	devices: client.devices,
};

// Methods for which there is no route: they are answered as what they are.
const NOT_OURS = {
	'resources.reclaimMemory': () => client.resources.reclaimMemory({ reclaim_bytes: 1 }),
	'instances.update': () => client.instances.update('work', { env: {} }),
	'instances.fork': () => client.instances.fork('work', { name: 'fork' }),
	'images.tag': () => client.images.tag(image, { target: 'other' }),
	'volumes.createFromArchive': () =>
		client.volumes.createFromArchive('x', { name: 'archive', size_gb: 1 }),
};

function everyMethod() {
	return Object.entries(RESOURCES).flatMap(([name, resource]) =>
		Object.getOwnPropertyNames(Object.getPrototypeOf(resource))
			.filter((method) => method !== 'constructor')
			.map((method) => `${name}.${method}`));
}

// The error that a call ends with, and how many requests it took.
async function failure(call) {
	const before = requests;
	try {
		const answer = await call();
		return { error: undefined, answer, requests: requests - before };
	} catch (error) {
		return { error, requests: requests - before };
	}
}

async function fails(sentence, call, kind, code) {
	const seen = await failure(call);
	check(sentence, seen.error instanceof kind && seen.error.error?.code === code &&
		seen.error.error?.message?.length > 0 && seen.requests === 1,
		`${seen.requests} requests, ${seen.error?.name} ${seen.error?.message}`);
}

async function lines(stream, enough) {
	const found = [];
	for await (const line of stream) {
		found.push(line);
		if (enough && enough(found))
			break;
	}
	return found;
}

async function reach(id, state, seconds = 120) {
	const end = Date.now() + seconds * 1000;
	let answer;
	do
		answer = await client.instances.wait(id, { state, timeout: '20s' });
	while (answer.timed_out && Date.now() < end);
	return answer;
}

// Until the agent in a guest that is being emulated has started.
async function patiently(call) {
	for (let end = Date.now() + 120000;;) {
		try {
			return await call();
		} catch (error) {
			if (error.error?.code !== 'no_guest_agent' || Date.now() > end)
				throw error;
		}
	}
}

async function healthAndResources() {
	check('health.check', (await client.health.check()).status === 'ok');
	const all = await client.resources.get();
	check('resources.get has cpu, memory, disk, network and gpu',
		['cpu', 'memory', 'disk', 'network'].every((name) => all[name].type === name &&
			all[name].effective_limit >= all[name].allocated) && all.cpu.capacity > 0 &&
		all.gpu.mode === 'vgpu' && all.gpu.profiles.length > 0 &&
		Array.isArray(all.allocations) && all.disk_breakdown.images_bytes >= 0, all);
}

async function images() {
	const made = await client.images.create({ name: image });
	check('images.create answers at once',
		['pending', 'pulling', 'converting', 'ready'].includes(made.status) &&
		made.name.includes(image) && !Number.isNaN(Date.parse(made.created_at)), made);
	let now = made;
	for (let i = 0; i < 300 && !['ready', 'failed'].includes(now.status); i++) {
		await new Promise((done) => setTimeout(done, 200));
		now = await client.images.get(made.name);
	}
	check('images.get follows it until it is ready, with digest, size and command',
		now.status === 'ready' && now.digest.startsWith('sha256:') && now.size_bytes > 0 &&
		(now.cmd.length > 0 || now.entrypoint.length > 0) && typeof now.env === 'object', now);
	check('images.list has it', (await client.images.list()).some((i) => i.name === made.name));
	return made.name;
}

async function devices() {
	const available = await client.devices.listAvailable();
	const ours = available.find((device) => device.pci_address === pciAddress);
	check('devices.listAvailable names the GPU', ours?.vendor_id === '10de' &&
		/L40S/.test(ours.device_name) && ours.iommu_group > 0, available);
	const made = await client.devices.create({ pci_address: pciAddress, name: 'gpu-0' });
	check('devices.create', made.type === 'gpu' && made.attached_to === null &&
		made.bound_to_vfio === false && !Number.isNaN(Date.parse(made.created_at)), made);
	const same = await client.devices.retrieve('gpu-0');
	check('devices.retrieve finds it by name', same.id === made.id, same);
	const list = await client.devices.list();
	check('devices.list has it', list.length === 1 && list[0].id === made.id, list);
	await fails('a device that is registered is a ConflictError, not tried again',
		() => client.devices.create({ pci_address: pciAddress }),
		Hypeman.ConflictError, 'device_registered');
	await fails('a PCI device that is not there is a NotFoundError',
		() => client.devices.create({ pci_address: '0000:99:00.0' }),
		Hypeman.NotFoundError, 'pci_device_not_found');
	await client.devices.delete(made.id);
	check('devices.delete', (await client.devices.list()).length === 0);
}

async function instances(volume) {
	const made = await client.instances.create({
		name: 'work', image, vcpus: 1, size: '512MB', overlay_size: '1GB',
		env: { GREETING: 'hello' }, gpu: { profile: 'L40S-1Q' },
		network: { enabled: true },
	});
	check('instances.create answers with its vGPU', made.name === 'work' &&
		made.gpu.profile === 'L40S-1Q' && /^[0-9a-f-]{36}$/.test(made.gpu.mdev_uuid) &&
		made.state === 'Initializing' && made.expires_at === null && made.vcpus === 1 &&
		made.size === '512MB' && made.env.GREETING === 'hello', made);
	check('instances.list has it', (await client.instances.list())[0]?.id === made.id);
	check('instances.list by state has others not',
		(await client.instances.list({ state: 'Standby' })).length === 0);
	const reached = await reach('work', 'Running');
	check('instances.wait ends when it is Running', reached.state === 'Running' &&
		reached.timed_out === false, reached);
	const got = await client.instances.get('work');
	check('instances.get finds it by name', got.id === made.id && got.state === 'Running' &&
		!Number.isNaN(Date.parse(got.started_at)), got);
	const vain = await client.instances.wait('work', { state: 'Standby', timeout: '1s' });
	check('instances.wait in vain says so', vain.timed_out === true, vain);

	const followed = await lines(await client.instances.logs('work', { follow: true }),
		(found) => found.includes('ready'));
	check('instances.logs streams lines until we have seen enough',
		followed.some((line) => line.includes('demo image')), followed);
	const tail = await lines(await client.instances.logs('work', { tail: 1 }));
	check('instances.logs ends by itself without follow', tail.length === 1, tail);
	const actions = await lines(await client.instances.logs('work', { source: 'hypeman' }));
	check('instances.logs has other sources', actions.length > 0, actions);

	const stats = await client.instances.stats('work');
	check('instances.stats counts', stats.instance_id === made.id && stats.cpu_seconds > 0 &&
		stats.memory_rss_bytes > 0 && stats.allocated_vcpus === 1 &&
		stats.allocated_memory_bytes === 512 * 1024 * 1024, stats);
	const there = await patiently(
		() => client.instances.stat('work', { path: '/bin', follow_links: true }));
	check('instances.stat looks into the guest', there.exists && there.is_dir, there);
	const missing = await client.instances.stat('work', { path: '/no/such/file' });
	check('and tells what is not there', missing.exists === false, missing);

	await fails('standby with a vGPU is a ConflictError', () => client.instances.standby('work'),
		Hypeman.ConflictError, 'has_device');
	await fails('a volume cannot be attached to what runs',
		() => client.instances.volumes.attach(volume.id, { id: 'work', mount_path: '/data' }),
		Hypeman.ConflictError, 'wrong_state');
	const stopped = await client.instances.stop('work');
	check('instances.stop', stopped.state === 'Stopped' && !stopped.gpu.mdev_uuid, stopped);

	const attached = await client.instances.volumes.attach(volume.id,
		{ id: 'work', mount_path: '/data', readonly: true });
	check('instances.volumes.attach', attached.volumes.length === 1 &&
		attached.volumes[0].volume_id === volume.id && attached.volumes[0].readonly === true,
		attached);
	const holder = await client.volumes.get('data');
	check('the volume says where', holder.attachments[0]?.instance_id === made.id, holder);
	await fails('and cannot be deleted', () => client.volumes.delete('data'),
		Hypeman.ConflictError, 'volume_in_use');
	const detached = await client.instances.volumes.detach(volume.id, { id: 'work' });
	check('instances.volumes.detach', detached.volumes.length === 0, detached);

	const started = await client.instances.start('work', { cmd: ['/bin/sh', '-c', 'echo again; sleep 600'] });
	check('instances.start takes the GPU again', started.state === 'Initializing' &&
		/^[0-9a-f-]{36}$/.test(started.gpu.mdev_uuid), started);
	await reach('work', 'Running');
	const again = await lines(await client.instances.logs('work', { follow: true }),
		(found) => found.includes('again'));
	check('and runs the new command', again.includes('again'), again);
	await client.instances.delete('work');
	await fails('instances.delete, and then it is a NotFoundError',
		() => client.instances.get('work'), Hypeman.NotFoundError, 'instance_not_found');
}

async function standby() {
	await client.instances.create({ name: 'sleeper', image, vcpus: 1, size: '256MB' });
	await reach('sleeper', 'Running');
	const asleep = await client.instances.standby('sleeper');
	check('instances.standby', asleep.state === 'Standby' && asleep.has_snapshot === true, asleep);
	const awake = await client.instances.restore('sleeper');
	check('instances.restore', awake.state === 'Running', awake);
	await client.instances.delete('sleeper');
}

async function volumes() {
	const made = await client.volumes.create({ name: 'data', size_gb: 1 });
	check('volumes.create', made.name === 'data' && made.size_gb === 1 &&
		!Number.isNaN(Date.parse(made.created_at)), made);
	check('volumes.list has it', (await client.volumes.list()).some((v) => v.id === made.id));
	await fails('a taken name is a ConflictError, not tried again',
		() => client.volumes.create({ name: 'data', size_gb: 1 }),
		Hypeman.ConflictError, 'name_taken');
	return made;
}

async function errors() {
	await fails('an unknown profile is a BadRequestError that names those known',
		() => client.instances.create({ name: 'x', image, gpu: { profile: 'L40S-5Q' } }),
		Hypeman.BadRequestError, 'unknown_profile');
	await fails('a bad name is a BadRequestError',
		() => client.instances.create({ name: 'No Name', image }),
		Hypeman.BadRequestError, 'invalid_argument');
	await fails('an image that nobody knows is a NotFoundError',
		() => client.images.get('docker.io/library/nothing:1'),
		Hypeman.NotFoundError, 'image_not_found');
	await fails('logs of nobody are a NotFoundError, before the stream begins',
		() => client.instances.logs('nobody'), Hypeman.NotFoundError, 'instance_not_found');
	const late = await failure(() => client.instances.wait('nobody-waits', { state: 'Running' }));
	check('so is waiting for nobody', late.error instanceof Hypeman.NotFoundError &&
		late.requests === 1, late.error?.message);
	const nobody = new Hypeman({ baseURL: 'http://127.0.0.1:1', apiKey: 'x', maxRetries: 1 });
	const unreached = await failure(() => nobody.health.check());
	check('no server is an APIConnectionError',
		unreached.error instanceof Hypeman.APIConnectionError, unreached.error?.message);
	const controller = new AbortController();
	setTimeout(() => controller.abort(), 200);
	const aborted = await failure(() => client.instances.list({}, { signal: controller.signal })
		.then(() => client.instances.wait('held', { state: 'Standby', timeout: '60s' },
			{ signal: controller.signal })));
	check('a caller may give up waiting', aborted.error instanceof Hypeman.APIUserAbortError,
		`${aborted.error?.name} ${aborted.error?.message}`);
}

async function tokens() {
	const fetching = { baseURL: tokenURL, fetch: counting };
	const known = new Hypeman({ ...fetching, apiKey: token });
	check('with a token a caller is served', Array.isArray(await known.instances.list()));
	await fails('with a wrong one it is an AuthenticationError',
		() => new Hypeman({ ...fetching, apiKey: token + 'x' }).instances.list(),
		Hypeman.AuthenticationError, 'unauthenticated');
	const poor = new Hypeman({ ...fetching, apiKey: poorToken });
	check('a token of few permissions is good for them', Array.isArray(await poor.instances.list()));
	await fails('and a PermissionDeniedError for the rest', () => poor.volumes.list(),
		Hypeman.PermissionDeniedError, 'forbidden');
	check('health asks for none', (await poor.health.check()).status === 'ok');
}

async function main() {
	for (const [name, resource] of Object.entries(RESOURCES))
		watch(resource, name);
	await healthAndResources();
	const name = await images();
	await devices();
	const volume = await volumes();
	await instances(volume);
	await client.volumes.delete('data');
	check('volumes.delete', (await client.volumes.list()).length === 0);
	await client.instances.create({ name: 'held', image, vcpus: 1, size: '256MB' });
	await errors();
	await fails('an image in use is a ConflictError', () => client.images.delete(name),
		Hypeman.ConflictError, 'image_in_use');
	await client.instances.delete('held');
	await standby();
	await client.images.delete(name);
	check('images.delete', (await client.images.list()).every((i) => i.name !== name));
	await tokens();
	for (const [method, call] of Object.entries(NOT_OURS)) {
		const { error } = await failure(call);
		check(`${method}, which is not offered, says so`, [404, 405].includes(error?.status),
			`${error?.status} ${error?.message}`);
	}
	const missed = everyMethod().filter((method) => !called.has(method));
	check(`each of the ${everyMethod().length} methods was called`, missed.length === 0 &&
		everyMethod().length === 34, missed);
}

main().catch((error) => {
	console.log(`not ok - the client goes on to the end: ${error.stack}`);
	failures++;
}).finally(() => process.exit(failures ? 1 : 0));
