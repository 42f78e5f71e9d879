//! Which bytes of an image are there: a sorted set of spans.

use serde::{Deserialize, Serialize};

/// Spans of bytes, each from its first up to but not including its last;
/// sorted, apart from each other, none empty.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<(u64, u64)>", into = "Vec<(u64, u64)>")]
pub struct Ranges(Vec<(u64, u64)>);

impl Ranges {
    /// Adds the bytes from `start` up to `end`.
    pub fn insert(&mut self, start: u64, end: u64) {
        if start >= end {
            return;
        }
        // Those that touch the new one become part of it.
        let first = self.0.partition_point(|&(_, other)| other < start);
        let after = self.0.partition_point(|&(other, _)| other <= end);
        let start = self.0[first..after].first().map_or(start, |&(other, _)| other.min(start));
        let end = self.0[first..after].last().map_or(end, |&(_, other)| other.max(end));
        self.0.splice(first..after, [(start, end)]);
    }

    /// Up to where nothing is missing.
    pub fn beginning(&self) -> u64 {
        self.0.first().filter(|&&(start, _)| start == 0).map_or(0, |&(_, end)| end)
    }

    /// The end of the last span.
    pub fn end(&self) -> u64 {
        self.0.last().map_or(0, |&(_, end)| end)
    }

    /// How many bytes there are.
    pub fn count(&self) -> u64 {
        self.0.iter().map(|(start, end)| end - start).sum()
    }

    /// What is missing of the bytes from `start` up to `end`.
    pub fn gaps(&self, start: u64, end: u64) -> Vec<(u64, u64)> {
        let first = self.0.partition_point(|&(_, other)| other <= start);
        let after = self.0.partition_point(|&(other, _)| other < end);
        let within = &self.0[first..after.max(first)];
        let starts = std::iter::once(start).chain(within.iter().map(|&(_, end)| end));
        let ends = within.iter().map(|&(start, _)| start).chain([end]);
        starts.zip(ends).filter(|(start, end)| start < end).collect()
    }
}

impl TryFrom<Vec<(u64, u64)>> for Ranges {
    type Error = &'static str;

    fn try_from(spans: Vec<(u64, u64)>) -> Result<Self, Self::Error> {
        let apart = spans.windows(2).all(|pair| pair[0].1 < pair[1].0);
        match apart && spans.iter().all(|(start, end)| start < end) {
            true => Ok(Ranges(spans)),
            false => Err("the spans are not in order"),
        }
    }
}

impl From<Ranges> for Vec<(u64, u64)> {
    fn from(ranges: Ranges) -> Self {
        ranges.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_that_touch_become_one() {
        let mut ranges = Ranges::default();
        for (start, end, after) in [
            (10, 20, vec![(10, 20)]),
            (30, 40, vec![(10, 20), (30, 40)]),
            (5, 5, vec![(10, 20), (30, 40)]),
            (20, 25, vec![(10, 25), (30, 40)]),
            (0, 3, vec![(0, 3), (10, 25), (30, 40)]),
            (50, 60, vec![(0, 3), (10, 25), (30, 40), (50, 60)]),
            (12, 14, vec![(0, 3), (10, 25), (30, 40), (50, 60)]),
            (24, 50, vec![(0, 3), (10, 60)]),
            (3, 10, vec![(0, 60)]),
        ] {
            ranges.insert(start, end);
            assert_eq!(ranges.0, after, "after {start}..{end}");
        }
    }

    #[test]
    fn what_is_there_and_what_is_missing() {
        let mut ranges = Ranges::default();
        assert_eq!((ranges.beginning(), ranges.end(), ranges.count()), (0, 0, 0));
        assert_eq!(ranges.gaps(0, 10), [(0, 10)]);
        assert!(ranges.gaps(0, 0).is_empty());
        ranges.insert(4, 6);
        assert_eq!((ranges.beginning(), ranges.end(), ranges.count()), (0, 6, 2));
        assert_eq!(ranges.gaps(0, 10), [(0, 4), (6, 10)]);
        assert_eq!(ranges.gaps(3, 7), [(3, 4), (6, 7)]);
        assert_eq!(ranges.gaps(1, 3), [(1, 3)]);
        assert_eq!(ranges.gaps(7, 9), [(7, 9)]);
        assert!(ranges.gaps(4, 6).is_empty() && ranges.gaps(5, 5).is_empty() && ranges.gaps(9, 7).is_empty());
        ranges.insert(0, 2);
        assert_eq!((ranges.beginning(), ranges.end(), ranges.count()), (2, 6, 4));
        assert_eq!(ranges.gaps(0, 6), [(2, 4)]);
    }

    #[test]
    fn only_what_is_in_order_is_read() {
        let read = |text: &str| serde_json::from_str::<Ranges>(text).is_ok();
        assert!(read("[]") && read("[[0,1],[2,3]]"));
        assert!(!read("[[0,0]]") && !read("[[1,0]]") && !read("[[0,1],[1,2]]") && !read("[[2,3],[0,1]]"));
        assert!(!read("[[-1,2]]") && !read("5"));
    }
}
