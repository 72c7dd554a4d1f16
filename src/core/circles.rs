//! Circles of tombstones. What is live never requires itself in the end, but edges of several versions can stand side by side: what is removed keeps
//! the requirements of its last version, and what it required may, in a later one, come to require it, and then be removed too. Each would wait for
//! the other's end for ever.
//!
//! The newer word counts: of such a circle the edge is dropped whose tombstone was removed first. Deliberately absent: circles with something live
//! in them. A tombstone stays while something live requires it, and `why` says so.

use super::state::EnvironmentState;
use super::{ResourceId, VersionNumber, cycles};

impl EnvironmentState {
    /// Opens all circles that the tombstones of this step have closed. A circle that was not there before goes through one of them.
    pub(super) fn open_circles(&mut self) {
        let entombed = std::mem::take(&mut self.entombed);
        if entombed.is_empty() {
            return;
        }
        loop {
            let circles = cycles::find(entombed.iter().copied(), |&id| self.tombstones_required_by(id));
            let oldest: Vec<_> = circles.iter().filter_map(|members| self.oldest_edge(members)).collect();
            if oldest.is_empty() {
                return;
            }
            for (id, requirement) in oldest {
                self.cut(id, requirement);
                self.unsettled.push_back(id);
                self.show(id);
                self.show(requirement);
            }
        }
    }

    fn tombstones_required_by(&self, id: ResourceId) -> Vec<ResourceId> {
        let requires = self.get(id).filter(|resource| !resource.is_live()).map(|resource| &resource.requires);
        requires.into_iter().flatten().copied().filter(|&requirement| self.is_tombstone(requirement)).collect()
    }

    /// The edge of a circle whose tombstone was removed first.
    fn oldest_edge(&self, members: &std::collections::BTreeSet<ResourceId>) -> Option<(ResourceId, ResourceId)> {
        let circle = cycles::path(members, |&id| self.tombstones_required_by(id));
        let removed_in = |id| self.get(id).map_or(VersionNumber(0), |resource| resource.row.version);
        let edges = circle.iter().copied().zip(circle.iter().copied().skip(1));
        edges.min_by_key(|&(id, _)| (removed_in(id), id))
    }
}
