//! A small seeded source of chance for tests: the same seed, the same world.

/// xorshift64* (Vigna, ACM TOMS 42, 2016).
pub struct Noise(u64);

impl Noise {
    pub fn new(seed: u64) -> Noise {
        let mut noise = Noise(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        // Seeds that are close give states that are close; a few steps part them.
        (0..8).for_each(|_| _ = noise.share());
        noise
    }

    /// Even over 0 to 1, without 1.
    pub fn share(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A standard bell (Box and Muller, 1958).
    pub fn bell(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.share()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.share()).cos()
    }
}
