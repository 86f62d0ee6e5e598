//! The tool: finds the passage whose words are most like those of a question, also if they are misspelt.

/// What is beyond so many letters of a word does not count.
const LONGEST: usize = 32;

/// The number of the passage that is nearest to a question. Unless `is_fixed`, it makes the words of each passage anew for every word of
/// the question.
#[inline(never)]
pub(crate) fn rank(question: &str, passages: &[String], is_fixed: bool) -> usize {
    let asked = words(question);
    let mut best = (0, 0);
    for (number, passage) in passages.iter().enumerate() {
        let mut score = 0;
        let mut known = Vec::new();
        for word in &asked {
            if !is_fixed || known.is_empty() {
                known = words(passage);
            }
            score += likeness(word, &known);
        }
        if score > best.0 {
            best = (score, number);
        }
    }
    best.1
}

/// The different words of a text in lower case, in alphabetical order.
#[inline(never)]
fn words(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let mut words: Vec<String> = words.map(str::to_lowercase).collect();
    words.sort_unstable();
    words.dedup();
    words
}

/// How much a word is like the most similar one of those whose length is about the same: the letters of the longer one, less those
/// that must be changed.
#[inline(never)]
fn likeness(word: &str, words: &[String]) -> usize {
    let word = word.as_bytes();
    let mut most = 0;
    for other in words.iter().map(String::as_bytes).filter(|other| other.len().abs_diff(word.len()) < 2) {
        most = most.max(word.len().max(other.len()) - changes(word, other));
    }
    most
}

/// Letters that must be changed, added or taken away to make one word of the other (Levenshtein).
fn changes(a: &[u8], b: &[u8]) -> usize {
    let mut row: [usize; LONGEST] = std::array::from_fn(|at| at);
    let (a, b) = (&a[..a.len().min(LONGEST - 1)], &b[..b.len().min(LONGEST - 1)]);
    for (above, x) in a.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], above + 1);
        for (at, y) in b.iter().enumerate() {
            let change = diagonal + usize::from(x != y);
            diagonal = row[at + 1];
            row[at + 1] = change.min(row[at] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
