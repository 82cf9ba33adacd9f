use natureddit_image::*; use natureddit_core::fs; use image_hasher::*; use std::time::Instant;
const L: ImageLimits = ImageLimits { bytes_max: 20_000_000, pixels_max: 50_000_000 };
fn img(p:&Photo)->image::RgbImage{image::RgbImage::from_raw(p.width,p.height,p.rgb.clone()).unwrap()}
#[test] fn phash(){
 let root=std::path::Path::new("/work/shared/photos");
 let files:Vec<_>=["fauna","flora","landscape"].iter().flat_map(|c|fs::walk(&root.join(c)).unwrap()).collect();
 let t=Instant::now(); let mut bytes=0usize; let mut px=0u64;
 let photos:Vec<Photo>=files.iter().map(|f|{let b=fs::read(f).unwrap();bytes+=b.len();let p=decode(&b,&L).unwrap();px+=p.width as u64*p.height as u64;p}).collect();
 let n=photos.len() as f64;
 println!("decode {:.3} ms avg, {} KB avg, {} px avg",t.elapsed().as_secs_f64()*1e3/n,bytes/1024/photos.len(),px/photos.len() as u64);
 let t=Instant::now(); let mut s=0u64; for p in &photos{ s+=p.resize(224,224).rgb[5] as u64;} println!("resize {:.3} ms {s}",t.elapsed().as_secs_f64()*1e3/n);
 let t=Instant::now(); for p in &photos{ s+=p.perceptual_hash().distance(p.perceptual_hash()) as u64;} println!("phash {:.3} ms {s}",t.elapsed().as_secs_f64()*1e3/n/2.);
 let t=Instant::now(); for p in photos.iter().take(100){ s+=p.to_jpeg(90).len() as u64;} println!("to_jpeg {:.3} ms {s}",t.elapsed().as_secs_f64()*1e3/100.);
 let algs=[(HashAlg::Gradient,false,9),(HashAlg::Gradient,false,32),(HashAlg::Mean,true,16),(HashAlg::Median,true,16),(HashAlg::Median,true,32),(HashAlg::Median,true,64),(HashAlg::Mean,false,32),(HashAlg::Median,false,32),(HashAlg::Gradient,true,32),(HashAlg::Blockhash,false,64)];
 for (alg,dct,size) in algs{
  let mut c=HasherConfig::with_bytes_type::<[u8;8]>().hash_size(8,8).hash_alg(alg); if dct{c=c.preproc_dct();} let h=c.to_hasher();
  let f=|p:&Photo|{let q=p.resize(size,size);let g=image::DynamicImage::ImageRgb8(img(&q)).into_luma8(); u64::from_be_bytes(h.hash_image(&g).as_bytes().try_into().unwrap())};
  let hs:Vec<u64>=photos.iter().map(&f).collect();
  let mut inter=vec![]; for i in 0..hs.len(){for j in 0..i{inter.push((hs[i]^hs[j]).count_ones())}} inter.sort();
  let mut intra=[vec![],vec![],vec![],vec![]];
  for (i,p) in photos.iter().enumerate().step_by(5){
    let v0=decode(&p.to_jpeg(60),&L).unwrap();
    let v1=decode(&p.resize(p.width/2,p.height/2).to_jpeg(50),&L).unwrap();
    let im=img(p); let (w,hh)=(p.width,p.height);
    let cr=image::imageops::crop_imm(&im,w/50,hh/50,w-w/25,hh-hh/25).to_image(); let v2=Photo{width:cr.width(),height:cr.height(),rgb:cr.into_raw()};
    let v3=Photo{width:w,height:hh,rgb:p.rgb.iter().map(|&x|(x as u32*11/10).min(255) as u8).collect()};
    for (k,v) in [v0,v1,v2,v3].iter().enumerate(){intra[k].push((hs[i]^f(v)).count_ones());}
  }
  let q=|v:&Vec<u32>,x:f64|v[((v.len()-1) as f64*x) as usize];
  print!("{alg:?} dct={dct} {size}: inter min {} 1e-5 {} 1e-4 {} 1e-3 {} med {} | ",inter[0],q(&inter,1e-5),q(&inter,1e-4),q(&inter,1e-3),q(&inter,0.5));
  for v in intra.iter_mut(){v.sort();print!("p50 {} p95 {} max {}; ",q(v,0.5),q(v,0.95),v[v.len()-1]);} println!();
 }
}
