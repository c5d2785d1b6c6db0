// The service's own API, as any client asks it.

let key = "";

/** Sends this key from now on. It is kept here and nowhere else. */
export function useKey(value) {
	key = value;
}

/** What the service said no to: its status, and its problem as it says it. */
export class Refusal extends Error {
	constructor(status, problem, retryAfter) {
		super(problem.detail ?? problem.title ?? `The service answered ${status}.`);
		this.status = status;
		this.errors = problem.errors ?? [];
		this.retryAfter = retryAfter;
	}
}

/** The JSON that the service replies to GET, or to POST if there is a body. Throws Refusal. */
export async function ask(path, { body, type = "application/json", signal } = {}) {
	const headers = { Accept: "application/json" };
	if (body) headers["Content-Type"] = type;
	if (body && key) headers["X-API-Key"] = key;
	let reply;
	try {
		reply = await fetch(path, { method: body ? "POST" : "GET", headers, body, signal });
	} catch (error) {
		if (signal?.aborted) throw error;
		throw new Refusal(0, { detail: "The service cannot be reached." });
	}
	const content = await reply.json().catch(() => ({}));
	if (!reply.ok) throw new Refusal(reply.status, content, Number(reply.headers.get("Retry-After")));
	return content;
}

let described = null;

/** What the service says of its genres and models; asked again when other models have answered. */
export async function description(version = described?.version) {
	if (!described || described.version !== version) {
		const [{ genres, model_version }, { manifest }] = await Promise.all([ask("genres"), ask("model")]);
		described = { genres, manifest, version: model_version };
	}
	return described;
}

export const NETWORKS = ["places", "hidden", "simple"];

/** Where to ask about one piece. */
export const PATHS = ["genre", "origin?top=1000", ...NETWORKS.map((network) => `north-of-20?network=${network}`)];

/** All that the service says of one piece. */
export async function askAboutPiece(features, signal) {
	const body = JSON.stringify({ features: [...features] });
	const [genre, origin, ...north] = await Promise.all(PATHS.map((path) => ask(path, { body, signal })));
	return { genre, origin, north, ...(await description(genre.model_version)) };
}
