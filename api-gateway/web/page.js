// SPDX-License-Identifier: Apache-2.0
// The page at "/": what the REST API shows, kept new by its events. Nothing here can do what a
// curl with the same token could not.

const byId = (id) => document.getElementById(id);
const LOG_LINES_MAX = 5000;
const REFRESH_MS = 250;      // events come in bursts
const RETRY_MS = [500, 1000, 2000, 5000];
const resources = {};        // the last answer of /resources
let token = sessionStorage.getItem("token");
let busy = new Set();        // ids of instances with a request under way

// ---- The API

class Problem extends Error {
	constructor(status, body) {
		const details = (body.details || [])
			.filter((detail) => detail.code !== "field")
			.map((detail) => `\n${detail.message}`);

		super((body.message || `the answer was ${status}`) + details.join(""));
		this.status = status;
	}
}

async function request(method, path, { body, headers = {}, signal } = {}) {
	const options = { method, signal, headers: { ...headers }, cache: "no-store" };
	let answer;

	if (token)
		options.headers.Authorization = `Bearer ${token}`;
	if (body !== undefined) {
		options.headers["Content-Type"] = "application/json";
		options.body = JSON.stringify(body);
	}
	answer = await fetch(path, options);
	if (answer.ok)
		return answer;
	if (answer.status === 401)
		ask_for_token();
	throw new Problem(answer.status, await answer.json().catch(() => ({})));
}

async function get(path) {
	return (await request("GET", path)).json();
}

// Calls take({id, event, data}) for each server-sent event, until the stream ends.
async function read_events(path, options, take) {
	const answer = await request("GET", path, options);
	const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
	let left = "";

	for (;;) {
		const { value, done } = await reader.read();
		let end;

		if (done)
			return;
		left += value;
		while ((end = left.indexOf("\n\n")) >= 0) {
			take(parse_event(left.slice(0, end)));
			left = left.slice(end + 2);
		}
	}
}

function parse_event(text) {
	const event = { data: "" };

	for (const line of text.split("\n")) {
		const colon = line.indexOf(":");

		if (colon > 0)
			event[line.slice(0, colon)] = line.slice(colon + 1).replace(/^ /, "");
	}
	return event;
}

// ---- What is shown

function element(name, properties = {}, ...children) {
	const made = Object.assign(document.createElement(name), properties);

	made.append(...children);
	return made;
}

function fill(table, rows) {
	byId(table).tBodies[0].replaceChildren(...rows);
	byId(table).hidden = rows.length === 0;
}

function row(...cells) {
	return element("tr", {}, ...cells.map((cell) =>
		cell instanceof HTMLTableCellElement ? cell : element("td", {}, cell ?? "")));
}

function number_cell(text) {
	return element("td", { className: "number" }, String(text));
}

function bytes(count) {
	const units = ["B", "KB", "MB", "GB", "TB", "PB"];
	let unit = 0;

	while (count >= 1024 && unit < units.length - 1) {
		count /= 1024;
		unit++;
	}
	return `${count >= 100 || unit === 0 ? Math.round(count) : count.toFixed(1)} ${units[unit]}`;
}

function show_gpu(gpu) {
	const profiles = gpu?.profiles || [], devices = gpu?.devices || [];
	const bar = element("div");

	byId("gpu-summary").textContent = !gpu ? "This host has no GPU that can be given to an instance."
		: gpu.mode === "vgpu" ? `${gpu.used_slots} of ${gpu.total_slots} vGPU slots used`
		: `${gpu.used_slots} of ${gpu.total_slots} GPUs used`;
	bar.style.width = `${gpu?.total_slots ? 100 * gpu.used_slots / gpu.total_slots : 0}%`;
	byId("gpu-slots").replaceChildren(bar);
	byId("gpu-slots").hidden = !gpu?.total_slots;
	fill("profiles", profiles.map((profile) => row(profile.name,
		number_cell(`${profile.framebuffer_mb} MB`), number_cell(profile.available))));
	fill("gpu-devices", devices.map((device) => row(device.name, device.available ? "yes" : "no")));
}

function show_host() {
	const words = [["cpu", "vCPUs", String], ["memory", "Memory", bytes], ["disk", "Disk", bytes]];
	const lines = [];

	for (const [part, title, form] of words) {
		const figures = resources[part];

		if (!figures)
			continue;
		lines.push(element("dt", {}, title), element("dd", {},
			`${form(figures.allocated)} of ${form(figures.effective_limit)} allocated`));
	}
	byId("host").replaceChildren(...lines);
}

const STATE_KINDS = {
	Running: "good", Paused: "wait", Created: "wait", Initializing: "wait", Shutdown: "wait",
	Standby: "wait", Unknown: "bad", ready: "good", failed: "bad",
};

function state_cell(state, detail) {
	const text = element("span", { className: "state", title: detail || "" }, state);

	text.dataset.kind = STATE_KINDS[state] || (state === "Stopped" ? "" : "wait");
	return element("td", {}, text, detail ? element("div", { className: "problem" }, detail) : "");
}

function gpu_text(instance) {
	const devices = (instance.devices || []).map((device) => device.name || device.id);

	return [instance.gpu?.profile, ...devices].filter(Boolean).join(", ");
}

function outcome(instance) {
	if (instance.state_error)
		return instance.state_error;
	return instance.exit_code ? instance.exit_message || `exit status ${instance.exit_code}` : "";
}

function show_instance(instance) {
	const created = new Date(instance.created_at);

	return row(
		element("td", { className: "whole", title: instance.id },
			element("strong", {}, instance.name)),
		state_cell(instance.state, outcome(instance)),
		element("td", { className: "mono" }, instance.image),
		element("td", { className: "whole" },
			`${instance.vcpus} vCPU${instance.vcpus === 1 ? "" : "s"}, ${instance.size}`),
		element("td", { className: "whole" }, gpu_text(instance)),
		element("td", { title: created.toISOString() }, created.toLocaleString()),
		element("td", {}, element("div", { className: "actions" }, ...actions(instance))));
}

function actions(instance) {
	const act = (method, path) => () => run_action(instance, method, path);
	const make = (title, work, grave) => element("button", {
		type: "button", textContent: title, onclick: work, className: grave ? "grave" : "",
		disabled: busy.has(instance.id), ariaLabel: `${title} ${instance.name}`,
	});
	const found = [make("Log", () => show_log(instance))];

	if (instance.state === "Running")
		found.push(make("Stop", act("POST", "/stop")));
	if (instance.state === "Stopped")
		found.push(make("Start", act("POST", "/start")));
	if (instance.state === "Standby")
		found.push(make("Restore", act("POST", "/restore")));
	found.push(make("Delete", () => confirm_delete(instance), true));
	return found;
}

async function show_resources() {
	Object.assign(resources, await get("resources"));
	show_gpu(resources.gpu);
	show_host();
}

const shown_rows = new Map(); // by id of the instance: { text, row }

// The same row as before where nothing changed: who is about to press a button keeps it.
function instance_row(instance) {
	const text = JSON.stringify([instance, busy.has(instance.id)]);
	const known = shown_rows.get(instance.id);
	const shown = known?.text === text ? known : { text, row: show_instance(instance) };

	shown_rows.set(instance.id, shown);
	return shown.row;
}

async function show_instances() {
	const instances = await get("instances");
	const rows = instances.map(instance_row), ids = instances.map((instance) => instance.id);

	for (const id of shown_rows.keys())
		if (!ids.includes(id))
			shown_rows.delete(id);
	byId("no-instances").hidden = instances.length > 0;
	if (rows.some((row, i) => row !== byId("instances").tBodies[0].rows[i]) ||
	    rows.length !== byId("instances").tBodies[0].rows.length)
		fill("instances", rows);
}

async function show_images() {
	const images = await get("images");

	byId("no-images").hidden = images.length > 0;
	byId("image-names").replaceChildren(...images.map((image) =>
		element("option", { value: image.name })));
	fill("images", images.map((image) => row(element("td", { className: "mono" }, image.name),
		state_cell(image.status, image.error),
		number_cell(image.size_bytes ? bytes(image.size_bytes) : ""))));
}

// ---- Kept new

function say_connection(state, text) {
	byId("connection").dataset.state = state;
	byId("connection").textContent = text;
}

let refresh_timer = 0;
let last_refresh = Promise.resolve(true);

function refresh_soon() {
	refresh_timer ||= setTimeout(refresh, REFRESH_MS);
}

// One after another, so that no old answer comes after a new one.
function refresh() {
	refresh_timer = 0;
	last_refresh = last_refresh.then(show_all);
	return last_refresh;
}

async function show_all() {
	try {
		await Promise.all([show_resources(), show_instances(), show_images()]);
		return true;
	} catch (problem) {
		say_connection("away", problem.message);
		return false;
	}
}

const pause = (ms) => new Promise((resume) => setTimeout(resume, ms));

async function follow_events() {
	let last_id, failures = 0;

	for (;;) {
		const headers = last_id ? { "Last-Event-ID": last_id } : {};

		try {
			if (await refresh())
				say_connection("live", "live");
			await read_events("events", { headers }, (event) => {
				failures = 0;
				last_id = event.id || last_id;
				refresh_soon();
			});
		} catch (problem) {
			say_connection("away", problem.message);
			if (problem.status === 401)
				return;
		}
		await pause(RETRY_MS[Math.min(failures++, RETRY_MS.length - 1)]);
	}
}

// ---- What one can do

function ask_for_token() {
	sessionStorage.removeItem("token");
	byId("sign-in").hidden = false;
}

byId("sign-in").onsubmit = async (submit) => {
	submit.preventDefault();
	token = new FormData(submit.target).get("token").trim();
	try {
		await get("resources");
	} catch (problem) {
		submit.target.querySelector(".problem").textContent = problem.message;
		return;
	}
	sessionStorage.setItem("token", token);
	submit.target.reset();
	submit.target.hidden = true;
	follow_events();
};

async function run_action(instance, method, path) {
	byId("action-problem").textContent = "";
	busy.add(instance.id);
	await refresh();
	try {
		await request(method, `instances/${encodeURIComponent(instance.id)}${path}`,
			method === "POST" ? { body: {} } : {});
	} catch (problem) {
		byId("action-problem").textContent = `${instance.name}: ${problem.message}`;
	}
	busy.delete(instance.id);
	await refresh();
}

function confirm_delete(instance) {
	const dialog = byId("confirm");

	byId("confirm-text").textContent =
		`Delete ${instance.name}? Its disk is removed, and its GPU given back.`;
	dialog.returnValue = "";
	dialog.onclose = () => dialog.returnValue === "yes" && run_action(instance, "DELETE", "");
	dialog.showModal();
}

function gpu_choices() {
	const profiles = (resources.gpu?.profiles || []).filter((profile) => profile.available > 0);

	return [element("option", { value: "" }, "none"), ...profiles.map((profile) =>
		element("option", { value: profile.name },
			`${profile.name} (${profile.framebuffer_mb} MB, ${profile.available} available)`))];
}

byId("new-instance").onclick = () => {
	const dialog = byId("create");

	dialog.querySelector("[name=gpu]").replaceChildren(...gpu_choices());
	dialog.querySelector(".problem").textContent = "";
	dialog.showModal();
};

// Left out where nothing was filled in: then the service's own defaults count.
function wanted_instance(form) {
	const given = Object.fromEntries(new FormData(form));
	const wanted = { name: given.name, image: given.image };

	if (given.vcpus)
		wanted.vcpus = Number(given.vcpus);
	if (given.size)
		wanted.size = given.size;
	if (given.gpu)
		wanted.gpu = { profile: given.gpu };
	if (given.cmd)
		wanted.cmd = ["/bin/sh", "-c", given.cmd];
	return wanted;
}

byId("create").querySelector("form").onsubmit = async (submit) => {
	const form = submit.target, button = form.querySelector("[type=submit]");

	submit.preventDefault();
	button.disabled = true;
	try {
		await request("POST", "instances", {
			body: wanted_instance(form), headers: { "Idempotency-Key": crypto.randomUUID() },
		});
		byId("create").close();
		form.reset();
		await refresh();
	} catch (problem) {
		form.querySelector(".problem").textContent = problem.message;
	}
	button.disabled = false;
};

let log_reader = new AbortController();

async function follow_log(instance) {
	const pre = byId("logs").querySelector("pre");
	const source = byId("logs").querySelector("select").value;
	const path = `instances/${encodeURIComponent(instance.id)}/logs`;

	log_reader.abort();
	log_reader = new AbortController();
	pre.textContent = "";
	try {
		await read_events(`${path}?source=${source}&tail=500&follow=true`,
			{ signal: log_reader.signal }, (event) => {
				const at_end = pre.scrollTop + pre.clientHeight >= pre.scrollHeight - 4;

				pre.append(`${JSON.parse(event.data || '""')}\n`);
				while (pre.childNodes.length > LOG_LINES_MAX)
					pre.firstChild.remove();
				if (at_end)
					pre.scrollTop = pre.scrollHeight;
			});
	} catch (problem) {
		if (problem.name !== "AbortError")
			pre.append(`(${problem.message})\n`);
	}
}

function show_log(instance) {
	const dialog = byId("logs");

	byId("logs-title").textContent = `Log of ${instance.name}`;
	dialog.querySelector("select").onchange = () => follow_log(instance);
	dialog.onclose = () => log_reader.abort();
	dialog.showModal();
	follow_log(instance);
}

for (const button of document.querySelectorAll("button[value=cancel]"))
	button.onclick = () => button.closest("dialog").close();

follow_events();
