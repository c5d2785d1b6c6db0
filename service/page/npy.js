// NumPy's .npy files: an array of float32 or float64, as numpy.save writes it.

import { InputError } from "./errors.js";

const MAGIC = "\x93NUMPY";
const latin = (bytes) => String.fromCharCode(...bytes);

export const isNpy = (bytes) => bytes.length > 12 && latin(bytes.subarray(0, 6)) === MAGIC;

/** The numbers of a file, row by row, and its rows and columns; a single row may be of one dimension. */
export function readNpy(bytes) {
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
	const [lengthSize, length] = bytes[6] > 1 ? [4, view.getUint32(8, true)] : [2, view.getUint16(8, true)];
	const start = 8 + lengthSize + length;
	const header = latin(bytes.subarray(8 + lengthSize, Math.min(start, 4096)));
	const form = /'descr': '([<>])f([48])'/.exec(header);
	const shape = /'shape': \(([\d, ]+)\)/.exec(header)?.[1].split(",").filter((part) => part.trim()).map(Number);
	if (!form || !shape) throw new InputError("The file must hold an array of float32 or float64, as numpy.save writes it.");
	if (shape.length > 2) throw new InputError(`The array has ${shape.length} dimensions, not two.`);
	const [rows, columns] = shape.length === 1 ? [1, shape[0]] : shape;
	const size = Number(form[2]);
	if (bytes.length - start !== rows * columns * size) {
		throw new InputError("The file is shorter or longer than its header says.");
	}
	const [little, read] = [form[1] === "<", size === 4 ? "getFloat32" : "getFloat64"];
	const byColumns = header.includes("'fortran_order': True");
	const values = new Float64Array(rows * columns);
	for (let index = 0; index < values.length; index++) {
		const place = byColumns ? (index % rows) * columns + Math.floor(index / rows) : index;
		values[place] = view[read](start + index * size, little);
	}
	return { values, rows, columns };
}

export function writeNpy(values, columns) {
	const head = `{'descr': '<f8', 'fortran_order': False, 'shape': (${values.length / columns}, ${columns}), }`;
	const padded = `${head.padEnd(117)}\n`; // with what goes before it, a multiple of 64 bytes
	const start = 10 + padded.length;
	const bytes = new Uint8Array(start + 8 * values.length);
	const view = new DataView(bytes.buffer);
	bytes.set(Array.from(`${MAGIC}\x01\0\0\0${padded}`, (letter) => letter.charCodeAt(0)));
	view.setUint16(8, padded.length, true);
	values.forEach((value, index) => view.setFloat64(start + 8 * index, value, true));
	return bytes;
}
