/**
 * In how many directions documents differ: the singular values of the per-document differences h_ft − h_base, around zero and
 * around their mean. One direction that all documents share is what the mean difference can show; many are what it hides.
 */

import { symmetricEigenvalues } from "./linear_algebra/symmetric_eigen.ts";

/** Shares of the energy, in percent, for which the directions are counted. */
export const ENERGY_SHARES = [50, 90, 99] as const;

/** Of all energy, what rounding may leave in a direction that has none. */
const NOISE = 1e-13;

/** Leading directions whose own shares are listed. */
const LISTED = 20;

/** How the energy Σ‖row‖² lies in orthogonal directions, the strongest first. */
export interface EnergyDirections {
  /** By percent: the fewest directions that carry so much of the energy; 0 where there is none. */
  directions: Record<typeof ENERGY_SHARES[number], number>;
  /** Participation ratio (Σλ)² / Σλ²: as many equally strong directions would be as spread out. */
  effective: number;
  /** Shares of the energy of the first twenty, in [0, 1]. */
  shares: number[];
}

/** The spectrum of the differences of one layer at one position. */
export interface Spectrum {
  /** Mean of ‖h_ft − h_base‖² over the documents. */
  energy: number;
  /** ‖mean‖² over that: the share of the mean difference, in [0, 1]. */
  mean_share: number;
  /** Around zero: the mean difference is one of the directions. */
  uncentred: EnergyDirections;
  /** Around the mean: what is left of each document. It has at most min(documents − 1, hidden) directions. */
  centred: EnergyDirections;
}

/**
 * The spectrum of rows `[documents, hidden]`, in double. Of few documents it is a lower bound: n rows have no more than n
 * directions.
 */
export function spectrum(rows: Float32Array, hidden: number): Spectrum {
  const documents = rows.length / hidden;
  const size = Math.min(documents, hidden);
  const around = documents <= hidden ? betweenRows : betweenColumns;
  const { gram, centred, energy, meanEnergy } = around(rows, documents, hidden);
  return {
    energy: energy / documents,
    mean_share: energy === 0 ? 0 : Math.min(1, documents * meanEnergy / energy),
    uncentred: directionsOf(symmetricEigenvalues(gram, size), NOISE * energy),
    centred: directionsOf(symmetricEigenvalues(centred, size), NOISE * energy),
  };
}

interface Grams {
  /** Lower triangle of X·Xᵀ or Xᵀ·X, whichever is smaller: both have the squared singular values. */
  gram: Float64Array;
  /** The same of the rows without their mean. */
  centred: Float64Array;
  /** Σ‖row‖². */
  energy: number;
  /** ‖mean row‖². */
  meanEnergy: number;
}

/** X·Xᵀ `[documents, documents]`; to centre the rows is to take the means of its rows and columns away. */
function betweenRows(rows: Float32Array, documents: number, hidden: number): Grams {
  const gram = new Float64Array(documents * documents);
  for (let i = 0; i < documents; i++) {
    for (let j = 0; j <= i; j++) {
      let dot = 0;
      for (let k = 0; k < hidden; k++) dot += rows[i * hidden + k] * rows[j * hidden + k];
      gram[i * documents + j] = gram[j * documents + i] = dot;
    }
  }
  const means = Float64Array.from({ length: documents }, (_, i) => {
    return sumOf(gram.subarray(i * documents, (i + 1) * documents)) / documents;
  });
  const mean = sumOf(means) / documents;
  const centred = gram.map((value, at) => {
    return value - means[Math.floor(at / documents)] - means[at % documents] + mean;
  });
  return { gram, centred, energy: trace(gram, documents), meanEnergy: Math.max(0, mean) };
}

/** Xᵀ·X `[hidden, hidden]`, without documents · mean·meanᵀ for the centred rows. */
function betweenColumns(rows: Float32Array, documents: number, hidden: number): Grams {
  const gram = new Float64Array(hidden * hidden);
  const mean = new Float64Array(hidden);
  for (let d = 0; d < documents; d++) {
    const row = rows.subarray(d * hidden, (d + 1) * hidden);
    for (let i = 0; i < hidden; i++) {
      mean[i] += row[i] / documents;
      for (let j = 0; j <= i; j++) gram[i * hidden + j] += row[i] * row[j];
    }
  }
  const centred = gram.map((value, at) => {
    return value - documents * mean[Math.floor(at / hidden)] * mean[at % hidden];
  });
  const meanEnergy = sumOf(mean.map((value) => value * value));
  return { gram, centred, energy: trace(gram, hidden), meanEnergy };
}

/** Counts directions, given their energies, largest first. Those that may be no more than rounding count for none. */
function directionsOf(eigenvalues: Float64Array, noise: number): EnergyDirections {
  const energies = eigenvalues.map((value) => value > noise ? value : 0);
  const total = sumOf(energies);
  const squares = sumOf(energies.map((value) => value * value));
  const fewest = (share: number) => {
    let carried = 0;
    let count = 0;
    // The sum's own rounding must not ask for one direction more.
    while (carried < share * total * (1 - 1e-12)) carried += energies[count++];
    return count;
  };
  return {
    directions: Object.fromEntries(
      ENERGY_SHARES.map((percent) => [percent, fewest(percent / 100)]),
    ) as EnergyDirections["directions"],
    effective: squares === 0 ? 0 : total * total / squares,
    shares: total === 0 ? [] : Array.from(energies.subarray(0, LISTED), (value) => value / total),
  };
}

function trace(matrix: Float64Array, size: number): number {
  let sum = 0;
  for (let i = 0; i < size; i++) sum += matrix[i * size + i];
  return sum;
}

function sumOf(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0);
}
