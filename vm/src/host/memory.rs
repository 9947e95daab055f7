//! A guest's linear memory as the host functions see it: bounds-checked reads and writes, little-endian.

/// A guest pointer went beyond the end of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault;

/// The guest's memory during one host call.
#[derive(Debug)]
pub(crate) struct Memory<'a>(&'a mut [u8]);

impl<'a> Memory<'a> {
    pub(crate) fn new(bytes: &'a mut [u8]) -> Self {
        Self(bytes)
    }

    fn range(&self, at: u32, len: u32) -> Result<std::ops::Range<usize>, Fault> {
        let end = u64::from(at) + u64::from(len);
        if end > self.0.len() as u64 {
            return Err(Fault);
        }
        Ok(at as usize..end as usize)
    }

    pub(crate) fn slice(&self, at: u32, len: u32) -> Result<&[u8], Fault> {
        let range = self.range(at, len)?;
        self.0.get(range).ok_or(Fault)
    }

    pub(crate) fn slice_mut(&mut self, at: u32, len: u32) -> Result<&mut [u8], Fault> {
        let range = self.range(at, len)?;
        self.0.get_mut(range).ok_or(Fault)
    }

    pub(crate) fn write(&mut self, at: u32, bytes: &[u8]) -> Result<(), Fault> {
        let len = u32::try_from(bytes.len()).map_err(|_| Fault)?;
        self.slice_mut(at, len)?.copy_from_slice(bytes);
        Ok(())
    }

    pub(crate) fn write_u32(&mut self, at: u32, value: u32) -> Result<(), Fault> {
        self.write(at, &value.to_le_bytes())
    }

    pub(crate) fn write_u64(&mut self, at: u32, value: u64) -> Result<(), Fault> {
        self.write(at, &value.to_le_bytes())
    }

    fn array<const N: usize>(&self, at: u32) -> Result<[u8; N], Fault> {
        let len = u32::try_from(N).map_err(|_| Fault)?;
        self.slice(at, len)?.try_into().map_err(|_| Fault)
    }

    pub(crate) fn read_u16(&self, at: u32) -> Result<u16, Fault> {
        self.array(at).map(u16::from_le_bytes)
    }

    pub(crate) fn read_u32(&self, at: u32) -> Result<u32, Fault> {
        self.array(at).map(u32::from_le_bytes)
    }

    pub(crate) fn read_u64(&self, at: u32) -> Result<u64, Fault> {
        self.array(at).map(u64::from_le_bytes)
    }
}

/// The pointer `offset` bytes further, or a fault where it leaves 32 bits.
pub(crate) fn advance(at: u32, offset: u32) -> Result<u32, Fault> {
    at.checked_add(offset).ok_or(Fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_access_past_the_end_is_a_fault_and_changes_nothing() {
        let mut bytes = [0_u8; 8];
        let mut memory = Memory::new(&mut bytes);
        assert_eq!(memory.write_u64(1, u64::MAX), Err(Fault));
        assert_eq!(memory.read_u32(5), Err(Fault));
        assert_eq!(memory.slice(u32::MAX, u32::MAX), Err(Fault));
        assert_eq!(memory.write_u32(4, 7), Ok(()));
        assert_eq!(memory.read_u32(4), Ok(7));
        assert_eq!(memory.slice(8, 0).map(<[u8]>::len), Ok(0));
    }
}
