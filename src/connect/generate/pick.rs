//! Which source an event comes from.

use super::random::{Random, scaled};

/// A distribution of events over sources.
#[derive(Clone, Debug)]
pub(super) enum Pick {
    /// All sources alike.
    Uniform(u64),
    /// Source `i` in proportion to `(i + 1)^-skew`, by Walker's alias method ("New fast method for generating discrete random
    /// numbers with arbitrary frequency distributions", 1974): one draw and one look-up whatever the number of sources.
    Alias(Vec<Cell>),
}

/// One column of the alias table: below `keep` (of 2^32) the column's own source, else `other`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cell {
    keep: u32,
    other: u32,
}

impl Pick {
    /// A distribution over `sources` sources, at most [`crate::limits::GENERATED_SOURCES_MAX`].
    pub(super) fn new(sources: u64, skew: f64) -> Self {
        if skew == 0.0 || sources < 2 {
            return Pick::Uniform(sources);
        }
        let mut weights: Vec<f64> = (0..sources).map(|i| ((i + 1) as f64).powf(-skew)).collect();
        let total: f64 = weights.iter().sum();
        let scale = sources as f64 / total;
        weights.iter_mut().for_each(|weight| *weight *= scale);
        Pick::Alias(alias_table(weights))
    }

    /// The source of the next event.
    #[inline]
    pub(super) fn draw(&self, random: &mut Random) -> u64 {
        match self {
            Pick::Uniform(sources) => random.below(*sources),
            Pick::Alias(cells) => {
                let bits = random.bits();
                // The upper half chooses the column, the lower half within it.
                let column = scaled(bits & 0xffff_ffff_0000_0000, cells.len() as u64);
                let cell = cells[column as usize];
                if (bits as u32) < cell.keep { column } else { u64::from(cell.other) }
            }
        }
    }
}

/// The table for weights whose mean is 1.
fn alias_table(mut weights: Vec<f64>) -> Vec<Cell> {
    let mut cells: Vec<Cell> = (0..weights.len() as u32).map(|other| Cell { keep: u32::MAX, other }).collect();
    let (mut small, mut large): (Vec<usize>, Vec<usize>) = (0..weights.len()).partition(|&i| weights[i] < 1.0);
    while let (Some(&poor), Some(&rich)) = (small.last(), large.last()) {
        small.pop();
        cells[poor] = Cell { keep: (weights[poor] * 4_294_967_296.0) as u32, other: rich as u32 };
        weights[rich] -= 1.0 - weights[poor];
        if weights[rich] < 1.0 {
            large.pop();
            small.push(rich);
        }
    }
    cells
}
