//! The resources of the reference, in the order of their ids. A list that is searched from end to end, and read as a map.
//!
//! Deliberately absent: indexes. A map of the library would do; unoptimised, going through one takes several times as long.

use super::super::super::ResourceId;
use super::model::Res;
use std::ops::Index;

#[derive(Clone, Debug, Default)]
pub(super) struct Table(Vec<Res>);

impl Table {
    fn at(&self, id: ResourceId) -> Result<usize, usize> {
        self.0.binary_search_by_key(&id, |res| res.id)
    }

    pub(super) fn get(&self, id: ResourceId) -> Option<&Res> {
        self.at(id).ok().map(|at| &self.0[at])
    }

    pub(super) fn get_mut(&mut self, id: ResourceId) -> Option<&mut Res> {
        self.at(id).ok().map(|at| &mut self.0[at])
    }

    pub(super) fn contains_key(&self, id: ResourceId) -> bool {
        self.at(id).is_ok()
    }

    pub(super) fn insert(&mut self, id: ResourceId, res: Res) {
        match self.at(id) {
            Ok(at) => self.0[at] = res,
            Err(at) => self.0.insert(at, res),
        }
    }

    pub(super) fn remove(&mut self, id: ResourceId) -> Option<Res> {
        self.at(id).ok().map(|at| self.0.remove(at))
    }

    pub(super) fn values(&self) -> std::slice::Iter<'_, Res> {
        self.0.iter()
    }

    pub(super) fn values_mut(&mut self) -> std::slice::IterMut<'_, Res> {
        self.0.iter_mut()
    }

    pub(super) fn ids(&self) -> Vec<ResourceId> {
        self.0.iter().map(|res| res.id).collect()
    }
}

impl Index<&ResourceId> for Table {
    type Output = Res;

    fn index(&self, id: &ResourceId) -> &Res {
        &self.0[self.at(*id).unwrap()]
    }
}
