//! Passages to search in, made up of a few words. They are the same in every run.

const WORDS: [&str; 48] = [
    "Water",
    "valve",
    "Pump",
    "river",
    "storm",
    "winter",
    "bridge",
    "engine",
    "Iron",
    "road",
    "keeper",
    "stone",
    "Lighthouse",
    "letter",
    "copper",
    "wire",
    "Green",
    "glass",
    "clock",
    "Northern",
    "harbour",
    "signal",
    "Coal",
    "garden",
    "market",
    "Window",
    "ladder",
    "Copper",
    "rope",
    "sail",
    "anchor",
    "Silver",
    "needle",
    "thread",
    "Lamp",
    "oil",
    "mirror",
    "Tower",
    "bell",
    "Cellar",
    "barrel",
    "salt",
    "Orchard",
    "apple",
    "barn",
    "fence",
    "Mill",
    "wheel",
];
/// Words of a passage.
const LENGTH: usize = 120;

/// So many passages.
pub(crate) fn made_up(count: usize) -> Vec<String> {
    // Knuth's MMIX.
    let mut x = 42_u64;
    let mut next = move || {
        x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (x >> 33) as usize
    };
    let mut passage = || {
        let mut text = String::new();
        for at in 1..=LENGTH {
            text += WORDS[next() % WORDS.len()];
            text += if at % 12 == 0 { ". " } else { " " };
        }
        text
    };
    (0..count).map(|_| passage()).collect()
}
