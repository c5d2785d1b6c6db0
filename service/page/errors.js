// What is wrong, told to people.

/** Input that cannot be taken: the message says what to mend, and `at` where in the text, from and to, if known. */
export class InputError extends Error {
	constructor(message, at = null) {
		super(message);
		this.at = at;
	}
}

/** What the service said no to: its status, and its problem as it says it. */
export class Refusal extends Error {
	constructor(status, problem) {
		super(problem?.detail ?? `The service answered ${status}, and not as it should.`);
		this.status = status;
	}
}
