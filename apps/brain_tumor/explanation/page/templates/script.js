// Only comfort: dragging along the slices and unfolding. The page works without it.
for (const plane of document.querySelectorAll('.plane')) {
  const stops = plane.querySelectorAll('input');
  const track = plane.querySelector('.track');
  const choose = (event) => {
    const box = track.getBoundingClientRect();
    const place = Math.floor((event.clientX - box.left) / box.width * stops.length);
    const stop = stops[Math.max(0, Math.min(stops.length - 1, place))];
    stop.checked = true;
    stop.focus({preventScroll: true});
  };
  track.addEventListener('pointerdown', (event) => {
    track.setPointerCapture(event.pointerId);
    choose(event);
    event.preventDefault();
  });
  track.addEventListener('pointermove', (event) => { if (event.buttons) choose(event); });
}
let closed = [];
addEventListener('beforeprint', () => {
  closed = [...document.querySelectorAll('details:not([open])')];
  closed.forEach((one) => { one.open = true; });
});
addEventListener('afterprint', () => closed.forEach((one) => { one.open = false; }));
const openTarget = () => {
  const target = document.getElementById(location.hash.slice(1));
  const around = target && target.closest('details');
  if (around) { around.open = true; target.scrollIntoView(); }
};
addEventListener('hashchange', openTarget);
openTarget();
