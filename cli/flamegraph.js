// The script within the SVG of `heapline export --format flamegraph`: fits the graph to the window, zooms, searches, tells what is under the
// pointer. Frames are <g class="f KIND" data-a="START" data-n="AMOUNT"> in units of the total; the first line of a frame's title is its name.
'use strict';
(function () {
    var svg = document.documentElement;
    if (svg.localName !== 'svg')
        svg = document.querySelector('svg');
    var PAD = 10, CHARACTER = 6.7, NAMESPACE = 'http://www.w3.org/2000/svg', XHTML = 'http://www.w3.org/1999/xhtml';
    var details = svg.getElementById('details'), matched = svg.getElementById('matched');
    var isBytes = svg.getAttribute('data-unit') === 'bytes', total = +svg.getAttribute('data-total');
    var frames = Array.prototype.map.call(svg.querySelectorAll('g.f'), function (group) {
        var title = group.querySelector('title').textContent;
        return {
            group: group, rect: group.querySelector('rect'), text: group.querySelector('text'), title: title, name: title.split('\n')[0],
            start: +group.getAttribute('data-a'), amount: +group.getAttribute('data-n'), y: +group.querySelector('rect').getAttribute('y')
        };
    });
    var shown = frames[0], resting = details.textContent;

    function size(amount) {
        var units = isBytes ? ['B', 'KiB', 'MiB', 'GiB', 'TiB'] : ['', 'k', 'M', 'G', 'T'], i = 0;
        for (; amount >= (isBytes ? 1024 : 1000) && i < units.length - 1; i++)
            amount /= isBytes ? 1024 : 1000;
        return (i ? amount.toPrecision(3) : amount) + ' ' + units[i];
    }

    function share(amount) {
        return (100 * amount / total).toFixed(1) + ' %';
    }

    function label(frame, width) {
        var fits = Math.floor((width - 6) / CHARACTER);
        if (!frame.text) {
            if (fits < 3)
                return;
            frame.text = document.createElementNS(NAMESPACE, 'text');
            frame.text.setAttribute('y', frame.y + 13);
            frame.group.appendChild(frame.text);
        }
        frame.text.textContent = fits < 3 ? '' : frame.name.length <= fits ? frame.name : frame.name.slice(0, fits - 1) + '…';
    }

    function place(frame, width) {
        var scale = (width - 2 * PAD) / shown.amount, end = shown.start + shown.amount;
        var from = Math.max(frame.start, shown.start), to = Math.min(frame.start + frame.amount, end);
        var isOutside = to <= from, pixels = Math.max((to - from) * scale - 0.5, 0.5);
        frame.group.style.display = isOutside ? 'none' : '';
        if (isOutside)
            return;
        frame.group.style.opacity = frame.y < shown.y ? 0.55 : 1;
        frame.rect.setAttribute('x', PAD + (from - shown.start) * scale);
        frame.rect.setAttribute('width', pixels);
        label(frame, pixels);
        if (frame.text)
            frame.text.setAttribute('x', PAD + (from - shown.start) * scale + 3);
    }

    function layOut() {
        var width = Math.max(svg.parentNode === document ? window.innerWidth : svg.getBoundingClientRect().width, 400);
        frames.forEach(function (frame) { place(frame, width); });
        Array.prototype.forEach.call(svg.querySelectorAll('.right'), function (element) { element.setAttribute('x', width - 260); });
        matched.setAttribute('x', width - PAD);
    }

    function zoom(frame) {
        shown = frame;
        layOut();
    }

    // Amounts of frames below a match count once.
    function search(words) {
        var pattern, sum = 0, covered = -1;
        try {
            pattern = words && new RegExp(words, 'i');
        } catch (error) {
            matched.textContent = 'not a regular expression';
            return;
        }
        frames.slice().sort(function (a, b) { return a.start - b.start || b.amount - a.amount || a.y - b.y; }).forEach(function (frame) {
            var isMatch = Boolean(pattern) && pattern.test(frame.title.split('\n').slice(0, 2).join(' '));
            frame.group.classList.toggle('match', isMatch);
            if (isMatch && frame.start >= covered) {
                sum += frame.amount;
                covered = frame.start + frame.amount;
            }
        });
        svg.classList.toggle('searching', Boolean(pattern));
        matched.textContent = pattern ? 'found in ' + size(sum) + ', ' + share(sum) : '';
    }

    function addSearchField() {
        var box = document.createElementNS(NAMESPACE, 'foreignObject'), input = document.createElementNS(XHTML, 'input');
        box.setAttribute('class', 'right');
        box.setAttribute('y', 8);
        box.setAttribute('width', 250);
        box.setAttribute('height', 30);
        input.setAttribute('type', 'search');
        input.setAttribute('placeholder', 'search: name or file ( / )');
        input.setAttribute('aria-label', 'search frames by a regular expression');
        input.addEventListener('input', function () { search(input.value); });
        box.appendChild(input);
        svg.appendChild(box);
        window.addEventListener('keydown', function (event) {
            if (event.key === '/' && event.target !== input) {
                input.focus();
                event.preventDefault();
            } else if (event.key === 'Escape') {
                input.value = '';
                input.blur();
                search('');
                zoom(frames[0]);
            }
        });
    }

    frames.forEach(function (frame) {
        frame.group.addEventListener('click', function () { zoom(frame); });
        frame.group.addEventListener('mouseenter', function () {
            details.textContent = frame.title.split('\n').filter(Boolean).join('  ·  ');
        });
        frame.group.addEventListener('mouseleave', function () { details.textContent = resting; });
    });
    svg.removeAttribute('viewBox');
    svg.setAttribute('width', '100%');
    addSearchField();
    window.addEventListener('resize', layOut);
    layOut();
}());
