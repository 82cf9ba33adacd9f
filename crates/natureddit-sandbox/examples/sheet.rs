#[path = "../src/scene/mod.rs"]
mod scene;
use image::{RgbImage, imageops};
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let kind = scene::Kind::ALL.into_iter().find(|k| k.name() == args[1]).unwrap();
    let (cols, rows, cell): (u32, u32, u32) = (args[3].parse().unwrap(), args[4].parse().unwrap(), args[5].parse().unwrap());
    let first: usize = args[6].parse().unwrap();
    let mut sheet = RgbImage::new(cols * cell, rows * cell);
    let subjects = kind.subjects();
    let mut total = 0.0;
    for k in 0..(cols * rows) as usize {
        let at = (k + first) % subjects.len();
        let t = std::time::Instant::now();
        let (w, h) = if args.len() > 7 { (1000, 750) } else { (cell, cell) };
        let p = scene::draw(&subjects[at], 1000 + k as u64 + (first * 31) as u64, w, h);
        let dt = t.elapsed().as_secs_f64();
        total += dt;
        if args.len() > 7 { println!("{} {:.1} ms", subjects[at].names[0], dt * 1e3); }
        let p = if args.len() > 7 { imageops::thumbnail(&p, cell, cell) } else { p };
        imageops::overlay(&mut sheet, &p, (k as u32 % cols * cell) as i64, (k as u32 / cols * cell) as i64);
    }
    println!("{:.1} ms each", total * 1e3 / (cols * rows) as f64);
    sheet.save(&args[2]).unwrap();
}
